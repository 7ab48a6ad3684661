"""Linear transfer jobs by steps and by exact fits, beside scikit-learn."""
