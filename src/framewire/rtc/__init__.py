"""Access units to RTP over a peer connection, and the feedback back. Never sees a frame."""
