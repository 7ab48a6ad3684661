"""The motion of a clip."""
