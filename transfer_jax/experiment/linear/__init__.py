"""Weighted generalised linear models, solved exactly on the host in float64: many fits side by side, dense or sparse rows."""
