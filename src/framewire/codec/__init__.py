"""Frames to access units and back. Knows pixels and encoders; knows no network."""
