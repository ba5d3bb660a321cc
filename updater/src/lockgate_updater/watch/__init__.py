"""Keeping a client up to date by itself: when to look, how it goes, and the loop that does it."""
