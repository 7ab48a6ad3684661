"""How good samples of a checkpoint are to look at: one whole shape, the right one, on a straight path."""
