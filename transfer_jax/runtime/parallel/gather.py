"""What several processes tell each other on the host: lists as one, and an error of one that ends all."""
import functools
import json
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost

from transfer_jax.runtime.errors import UserError

LONG = 7 * 86400  # s
POLL = 0.5  # s


def wait_for_all(place: str, seconds: float = LONG) -> None:
    """Returns when every process has come to the place of this name; devices are free meanwhile.

    Raises:
      jax.errors.JaxRuntimeError: a process ended before, or was not there in so many seconds.
    """
    wait_for(functools.partial(multihost.get_barrier_sync_fn(), key=place, timeout_ms=int(1000 * seconds)))


def wait_for(function: Callable[[], Any]) -> None:
    """Calls function() in another thread and waits for its end: a signal is answered meanwhile, which a call into C++ would put off."""
    errors, ended = [], threading.Event()

    def call():
        try:
            function()
        except Exception as error:
            errors.append(error)
        ended.set()
    threading.Thread(target=call, daemon=True).start()
    while not ended.wait(POLL):
        pass
    if errors:
        raise errors[0]


def gathered(items: list[Any]) -> list[Any]:
    """The lists of all processes as one, in the order of the processes: values of JSON. Every process calls it and waits."""
    if jax.process_count() == 1:
        return items
    wait_for_all('gathered')
    data = np.frombuffer(json.dumps(items).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([len(data)], np.int32)).ravel()
    rows = multihost_utils.process_allgather(np.pad(data, (0, int(sizes.max()) - len(data))))
    return [item for row, size in zip(np.asarray(rows), sizes, strict=True) for item in json.loads(row[:size].tobytes())]


def of_first(value: Any) -> Any:
    """The value of process 0, of JSON, in every process: what each finds in a folder that all share may differ for a while.

    Every process calls it and waits. A decision after which processes wait for each other depends on such a value alone.
    """
    return gathered([value])[0]


def together(function: Callable[..., Any], *arguments: Any) -> Any:
    """What function(*arguments) returns in this process, once it has ended in all of them.

    function: every process calls it with arguments of its own; it waits for no other process, since one that fails would not come.

    Raises:
      UserError: function raised one, or another error in another process; where several failed, the message is that of the first.
      Exception: function raised it in this process.
    """
    if jax.process_count() == 1:
        return function(*arguments)
    value, own = None, None
    try:
        value = function(*arguments)
    except Exception as error:
        own = error
    what = '' if own is None or isinstance(own, UserError) else f'{type(own).__name__}: '
    messages = gathered([] if own is None else [f'process {jax.process_index()}: {what}{own}'])
    if own is not None and not isinstance(own, UserError):
        raise own
    if messages:
        raise UserError(messages[0]) from own
    return value
