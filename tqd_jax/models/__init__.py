"""Video models: one transformer from tiny to 14B."""
