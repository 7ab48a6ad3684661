"""A stop between two pieces of work that have no state to save: samples, evaluations, gradients of a noise bin."""
from transfer_jax.runtime.parallel.gather import gathered
from transfer_jax.runtime.progress import Stopped, stop_is_requested


def check_stop() -> None:
    """Returns, or raises Stopped where a stop is requested of this process or of another of its job: at the same call in all of them.

    Every process calls it. Outside of every StopRequest a signal acts by itself.
    """
    if any(gathered([stop_is_requested()])):
        raise Stopped
