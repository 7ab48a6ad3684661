"""Compiling takes most of the tests' time: a few calls of a program have no use for fast machine code, and do without in a third of it.

JAX has no setting for this but the environment, which holds for a whole process. Tests whose truth is in the last bits (EXACT in
conftest.py) share their process with others and must have the machine code that users get; so the options are given to JAX's compiler.

    python tests/helpers/quick.py MODULE [flags]

is python -m MODULE, compiled so: the same bits, and the same entries of the cache of programs, as a run in the tests' process.
"""
import contextlib
import runpy
import sys
from unittest import mock

from jax._src import compiler

OPTIONS = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True, 'xla_cpu_use_fusion_emitters': False}
XLA_FLAGS = ' '.join(f'--{name}={str(value).lower()}' for name, value in OPTIONS.items())  # the same for a process of its own


@contextlib.contextmanager
def quick_to_compile():
    """Within it XLA compiles by OPTIONS; options that jit was given come first."""
    options_of = compiler.get_compile_options

    def quick(*arguments, env_options_overrides=None, **keys):
        return options_of(*arguments, env_options_overrides={**OPTIONS, **(env_options_overrides or {})}, **keys)

    with mock.patch.object(compiler, 'get_compile_options', quick):
        yield


def run_module(module, flags):
    """python -m MODULE flags, in this process."""
    sys.argv = [module, *flags]
    with quick_to_compile():
        runpy.run_module(module, run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    run_module(sys.argv[1], sys.argv[2:])
