"""A program that is too large for a device is a line with what it needs and what is there; any other error stays one."""
import types

import jax
import jax.numpy as jnp
import pytest

from tqd_jax.planning.compiled import _memory
from tqd_jax.training import programs
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.compiled import compiled, memory_of_program


def failing(message):
    """A lowered program whose compilation fails with a message of XLA's."""
    def compile(options):
        raise jax.errors.JaxRuntimeError(message)
    return types.SimpleNamespace(compile=compile)


@pytest.mark.parametrize('message', [
    'RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 1.50T of 15.75G hbm. Exceeded hbm '
    'capacity by 1.48T.',
    'RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (1.50T) exceeds available HBM (15.75G).'])
def test_memory_is_told_in_gib(message):
    lowered = failing(message)
    with pytest.raises(UserError, match=r'^a step needs 1536\.00 GiB of a device\'s memory, and there are 15\.75: take less$'):
        compiled(lowered, 'a step', 'take less')


@pytest.mark.parametrize('message', ['INTERNAL: no', 'RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem. Used 2.5G of 0.1G vmem'])
def test_another_error_stays(message):
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        compiled(failing(message), 'a step', 'take less')


def test_a_program_that_fits_is_compiled():
    assert compiled(jax.jit(jnp.sin).lower(0.5), 'a step', 'take less')(0.5) == pytest.approx(0.479426, abs=1e-6)


@pytest.mark.parametrize('error', [NotImplementedError('no'), jax.errors.JaxRuntimeError('UNIMPLEMENTED: no'), None])
def test_a_platform_may_say_nothing_of_memory(error):
    def memory_analysis():
        if error:
            raise error

    program = types.SimpleNamespace(memory_analysis=memory_analysis)
    assert memory_of_program(program) is None and programs._needs(None, 2**30) == ''
    with pytest.raises(UserError, match='does not say how much memory'):
        _memory(program)


def test_what_it_says_is_told():
    sizes = memory_of_program(jax.jit(jnp.sin).lower(jnp.zeros(2**18)).compile())
    assert programs._needs(sizes, 2**30) == ': needs 2 of 1024 MiB a device'
