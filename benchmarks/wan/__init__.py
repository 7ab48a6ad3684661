"""Memory and error of published Wan weights: loading, storing, compiling for a TPU."""
