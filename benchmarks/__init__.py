"""Side by side against the peers: the same frames, the same browser, the same eye on the screen."""
