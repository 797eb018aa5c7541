"""The engine: any number of streams and viewers, behind one port. Must not know what hosts it: a process or a loop."""
