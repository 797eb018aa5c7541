"""One stream: its encodings, who receives which of them, and at what rate."""
