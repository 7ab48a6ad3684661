"""The solver of source weights beside other solvers."""
