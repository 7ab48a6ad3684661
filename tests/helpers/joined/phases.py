"""python -m MODULE, but that the program sends itself a signal in a phase of its training: a stop or a kill at an exact place.

    python tests/helpers/joined/phases.py SIGNAL PHASE COUNT MODULE [flags]

PHASE: one of PLACES; COUNT: which time it is entered.
"""
import os
import pkgutil
import sys
from unittest import mock

from quick import run_module

PLACES = {'score': 'tqd_jax.scoring.store.RowStore.add', 'compile': 'tqd_jax.training.programs._compiled',
          'step': 'tqd_jax.training.log.TrainingLog.add', 'evaluate': 'tqd_jax.training.log.loss_table', 'eval': 'tqd_jax.main.loss_table',
          'save': 'transfer_jax.runtime.saves.checkpoint.Checkpoints.begin', 'sample': 'tqd_jax.training.sampling.generate.draw_latents'}


def signalled(number, phase, count):
    """A context in which the function of a phase sends the signal when it is called for the time `count`."""
    place, _, name = PLACES[phase].rpartition('.')
    owner = pkgutil.resolve_name(place)
    function, calls = getattr(owner, name), []

    def deadly(*arguments, **options):
        calls.append(phase)
        if len(calls) == count:
            os.kill(os.getpid(), number)
        return function(*arguments, **options)
    return mock.patch.object(owner, name, deadly)


if __name__ == '__main__':
    number, phase, count, module, *rest = sys.argv[1:]
    with signalled(int(number), phase, int(count)):
        run_module(module, rest)
