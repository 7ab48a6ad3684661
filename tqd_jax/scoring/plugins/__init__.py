"""Learned scorers, as plug-ins."""
