"""How the weights of the package are made: the random start of the tiny Wan, and publishing what a run made of it."""
