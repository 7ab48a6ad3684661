"""Batches of convex problems, each solution with its certificate."""
