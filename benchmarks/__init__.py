"""Measures framewire beside other systems: the same frames, the same browser, the same probe on the screen."""
