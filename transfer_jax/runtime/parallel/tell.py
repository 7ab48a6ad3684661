"""A request to stop that comes to one process of a job is told to all, whatever they do."""
import contextlib
import threading
from collections.abc import Iterator

import jax
from jax._src import distributed  # the key-value store that processes share has no public name

from transfer_jax.runtime.progress import StopRequest

KEY, SECONDS = 'tqd_jax/stop', 1.0


@contextlib.contextmanager
def tell_all(stop: StopRequest) -> Iterator[None]:
    """A context in which `stop` is requested in every process of the job, a second or two after a signal came to any of them."""
    ended = threading.Event()
    thread = threading.Thread(target=_tell, args=(stop, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(stop, ended):
    store = distributed.global_state.client
    while not ended.wait(SECONDS):
        try:
            if stop.requested:
                store.key_value_set(KEY, 'requested', allow_overwrite=True)
                return
            if store.key_value_try_get(KEY):
                stop.request()
                return
        except jax.errors.JaxRuntimeError as error:
            if 'NOT_FOUND' not in str(error):
                return  # the job ends; whoever waits for it is told
