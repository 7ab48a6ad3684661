"""Measures of samples against the truth."""
