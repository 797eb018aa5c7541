"""One viewer: its session, its transport, its peer connection, and how it is admitted."""
