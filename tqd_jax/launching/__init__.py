"""Launch files: from one config to what a rented machine, a cluster or a notebook runs."""
