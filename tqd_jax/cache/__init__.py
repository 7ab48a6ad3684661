"""Latents and text features of a library on disk, each encoded once."""
