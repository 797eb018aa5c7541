"""`framewire bench`: what this machine can do by itself, without a browser. Must not know how one asks for it."""
