"""Scores of predictions by name, their calibration, their file, and their part of a report: the same for both jobs."""
