"""The number of cores of this process; a module of its own, for processes that do not import JAX."""
import os


def cores() -> int:
    """The number of cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0))
