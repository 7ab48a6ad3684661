"""Scores of other tools."""
