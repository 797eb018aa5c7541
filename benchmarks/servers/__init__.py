"""One publisher for each system, each a process of its own. They run in the environment of their system, so
that they may import only numpy and the standard library besides it."""
