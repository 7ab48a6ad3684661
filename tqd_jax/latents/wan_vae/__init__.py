"""Wan's causal video autoencoders, 2.1 and 2.2, as pure functions of (params, arrays)."""
