"""The bytes of RTP and RTCP: packets, feedback, FlexFEC. Pure."""
