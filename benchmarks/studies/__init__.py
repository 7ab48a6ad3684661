"""Studies of the papers' claims, on a rendered world with a known truth and on exact worlds."""
