"""The network: protocols and their messages, the connection under them, and the web page."""
