"""The folder of a run: the home folder in its name, and the lock that keeps a second run out of it."""
