"""Compiles a program ahead of time; one that the devices have no memory for is refused in a line with what it needs and what is there."""
import re

import jax

from transfer_jax.runtime.errors import UserError

UNITS = {'K': 2.0**-20, 'M': 2.0**-10, 'G': 1.0, 'T': 2.0**10}  # GiB
SIZE = r'([\d.]+)([KMGT])'
# XLA's for a TPU, from before it lays a program out and from after; one of vmem, a kernel's scratch, is about no program's size
MEMORY = re.compile(rf'required for HLO temporaries \({SIZE}\) exceeds available HBM \({SIZE}\)|Used {SIZE} of {SIZE} hbm')


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
        found = lacking(str(error))
        if found is None:
            raise
        raise UserError(f'{what} needs {found[0]:.2f} GiB of a device\'s memory, and there are {found[1]:.2f}: {advice}') from None


def memory_of_program(program: jax.stages.Compiled):
    """What the compiler says of the memory that an executable needs, its sizes in bytes a device; None where the platform says nothing."""
    try:
        return program.memory_analysis()
    except (NotImplementedError, jax.errors.JaxRuntimeError):
        return None


def lacking(message: str) -> tuple[float, float] | None:
    """GiB of a device's memory that a program needs and that are there, by XLA's message of an error; None of any other error."""
    found = MEMORY.search(message)
    if found is None:
        return None
    need, need_unit, there, there_unit = (part for part in found.groups() if part is not None)
    return float(need) * UNITS[need_unit], float(there) * UNITS[there_unit]
