"""Live streams in one process: the service, its streams, and what waits for their clients. No sockets."""
