"""The solver beside other solvers."""
