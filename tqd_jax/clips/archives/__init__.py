"""Clips that are members of zip and tar archives, and clips that come as pictures."""
