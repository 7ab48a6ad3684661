"""Checkpoints: of all processes of a job, or of one alone; each is whole or absent."""
