"""What both trainers stand on: keys, mesh, checkpoints, metrics, progress, report, config checks."""
