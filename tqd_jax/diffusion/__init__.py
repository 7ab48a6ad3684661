"""The path from data to noise, the objective on it, and samplers along it."""
