"""Benchmarks: speed as ratios between programs side by side in one process, and studies of the claims."""
