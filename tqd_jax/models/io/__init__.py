"""Weights of published layouts, in and out."""
