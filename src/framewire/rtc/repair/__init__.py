"""What is done about lost packets: retransmission, forward error correction, playout delay. Pure."""
