"""`framewire bench`: what this machine does by itself, without a browser. Must not know the command line."""
