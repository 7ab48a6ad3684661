"""Clips drawn from the model of a run."""
