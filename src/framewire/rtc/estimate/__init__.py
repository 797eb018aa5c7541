"""What one viewer's path can carry: bandwidth estimation from feedback, loss and probes. Pure."""
