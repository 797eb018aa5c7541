"""One stream: its encodings, which subscribers receive which of them, and at what bitrate."""
