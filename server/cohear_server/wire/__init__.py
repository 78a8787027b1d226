"""What comes and goes over the network: each protocol's messages, the connection under them, and the web page."""
