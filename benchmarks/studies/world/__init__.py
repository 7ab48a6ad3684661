"""The benchmark world: clips in memory with a known truth."""
