"""Clips in memory whose truth is known."""
