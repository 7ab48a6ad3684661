"""Multi-task learning, where every task is a source and a target: one T x T matrix of weights, and the published baselines."""
