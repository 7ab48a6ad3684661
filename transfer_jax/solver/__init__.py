"""Solvers of batches of convex problems. Every solution comes with the residual of its optimality conditions."""
