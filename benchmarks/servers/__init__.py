"""One publisher for each system, each a process of its own. They run in the peers' environments: numpy and
the standard library are all they may count on besides their own system."""
