"""The Wan 2.1 transformer."""
