"""Plays each fault again and again, and measures how long it takes until the picture moves again."""
