"""Linear transfer jobs beside scikit-learn: the jobs, the estimator on the same rows, and a made-up sparse corpus."""
