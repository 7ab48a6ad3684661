"""What the first process of a job does once, and arrays of all processes on every host."""
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from transfer_jax.runtime.parallel.gather import together


def first_host(function: Callable[..., Any], *arguments: Any) -> None:
    """Calls function(*arguments) in process 0; the others wait for it without their devices.

    Raises:
      UserError: function raised one; it is raised in every process.
    """
    together(function if jax.process_index() == 0 else _nothing, *arguments)


def fetch(tree: Any) -> Any:
    """The tree with each array as numpy, whole, on every host, leaf by leaf. Every process calls it.

    An array that lies on devices of several processes is gathered; any other is fetched as it is.
    """
    return jax.tree.map(_fetched, tree)


def _fetched(leaf):
    here = not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated
    return np.asarray(leaf if here else multihost_utils.process_allgather(leaf, tiled=True))


def _nothing(*arguments):
    """What processes do while the first works."""
