"""The main job on one of a process's virtual devices: on two cores, the collectives of eight would starve each other.

A process that is to compute the bits of the tests' process has as many devices (ENVIRONMENT): XLA's threads, and so the order of its
sums, follow their number.
"""
import contextlib
from unittest import mock

import jax

from transfer_jax.runtime.parallel.mesh import make_mesh

ENVIRONMENT = {'JAX_NUM_CPU_DEVICES': '8'}
MESHES = ('tqd_jax.training.run', 'tqd_jax.training.workdir', 'tqd_jax.foundations.encode', 'tqd_jax.encode', 'tqd_jax.export')


@contextlib.contextmanager
def one_device():
    """Within it jobs take one of the devices."""
    one = lambda *sizes, devices=None: make_mesh(*sizes, devices=jax.devices()[:1])
    with contextlib.ExitStack() as stack:
        for module in MESHES:
            stack.enter_context(mock.patch(f'{module}.make_mesh', one))
        yield
