"""Captions to the features that a model reads."""
