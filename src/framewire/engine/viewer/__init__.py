"""One viewer: its signalling session, its transports, and what it subscribes to."""
