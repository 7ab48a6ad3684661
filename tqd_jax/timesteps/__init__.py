"""Scores to a distribution of t for every clip: one file for each law."""
