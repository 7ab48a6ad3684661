"""Samples measured against the truth."""
