"""Numpy frames on screen, in a notebook or a browser, as they are now."""
