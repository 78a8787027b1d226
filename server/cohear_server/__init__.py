"""Server of Cohear: sessions, scheduler, engine and the sockets around them."""
