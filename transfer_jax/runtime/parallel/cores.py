"""How many cores this process may use; apart from all that imports JAX, for processes that do without it."""
import os


def cores():
    """At least 1; fewer than the machine has where the process is bound to some."""
    return len(os.sched_getaffinity(0))
