"""The stream's own logic: audio in, events and decode jobs out. No sockets, no clock, no threads."""
