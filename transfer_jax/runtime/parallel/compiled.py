"""Compiles a program ahead of time; one that the devices have no memory for is refused in a line with what it needs and what is there."""
import re

import jax

from transfer_jax.runtime.errors import UserError

UNITS = {'K': 2.0**-20, 'M': 2.0**-10, 'G': 1.0, 'T': 2.0**10}  # GiB
# XLA's for a TPU: '... Used 95.41G of 15.75G hbm. Exceeded ...'
MEMORY = re.compile(r'Used ([\d.]+)([KMGT]) of ([\d.]+)([KMGT]) hbm')


def compiled(lowered: jax.stages.Lowered, what: str, advice: str, options: dict | None = None) -> jax.stages.Compiled:
    """The executable of a lowered program.

    Args:
      what: the program, as in '832x480x81'.
      advice: what to change where memory runs out.
      options: of XLA, by name.

    Raises:
      UserError: a device has less memory than the program needs; both are told in GiB. XLA knows that of a TPU when it compiles.
    """
    try:
        return lowered.compile(options)
    except jax.errors.JaxRuntimeError as error:
        found = MEMORY.search(str(error))
        if found is None:
            raise
        need, there = (float(found[i]) * UNITS[found[i + 1]] for i in (1, 3))
        raise UserError(f'{what} needs {need:.2f} GiB of a device\'s memory, and there are {there:.2f}: {advice}') from None
