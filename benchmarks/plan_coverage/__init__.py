"""Coverage of the plan's intervals."""
