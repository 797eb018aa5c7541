"""The user's process and the engine process: how frames, commands and events pass between them."""
