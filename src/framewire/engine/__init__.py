"""The engine: one port, any number of streams and viewers. Does not know whether a process or a loop hosts it."""
