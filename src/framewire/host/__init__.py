"""Where the engine runs: in a process of its own, or on the caller's event loop. One interface, one file for each."""
