"""The visual quality of a clip."""
