"""Multi-task learning where every task is source and target at once: one T x T matrix of weights, and the published baselines."""
