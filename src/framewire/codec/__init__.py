"""Pixels to coded units and back. Must not know networks, streams or viewers."""
