"""python -m benchmarks.linear: see jobs."""
import sys

from benchmarks.linear.jobs import main

main(*sys.argv[1:])
