"""Frames to scores.parquet: raw measures, the two scores, and the engine that measures a library."""
