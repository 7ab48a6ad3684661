"""What both trainers stand on: keys, mesh, checkpoints, metrics, progress, pages, config checks."""
