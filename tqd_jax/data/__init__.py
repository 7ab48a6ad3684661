"""Clips on disk to batches of arrays."""
