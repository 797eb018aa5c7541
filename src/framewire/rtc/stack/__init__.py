"""The private copy of aiortc and aioice, and what replaces parts of it. The only room that knows their privates."""
