"""What leaves one peer connection, and when: pacing, and one sender for each subscription. Pure."""
