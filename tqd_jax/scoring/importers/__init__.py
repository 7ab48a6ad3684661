"""Scores that other tools gave."""
