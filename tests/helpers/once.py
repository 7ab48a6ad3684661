"""What the runs of a module do alike is done once: equal programs are compiled once, and no figure of a page is drawn."""
import contextlib
import dataclasses
import functools
from unittest import mock

import markupsafe

from tqd_jax.training import programs
from tqd_jax.training.programs import compile_eval, compile_train

KNOWN = {}  # of this process: conftest.py empties it after each module
PLACES = {'tqd_jax.training.loop.compile_train': compile_train, 'tqd_jax.training.loop.compile_eval': compile_eval,
          'tqd_jax.main.compile_eval': compile_eval}


def key_of(run):
    """What the step and the evaluation of a run depend on, as text; None where an address in it says that it is not all there."""
    train = dataclasses.asdict(run.config.train)
    if run.config.train.schedule == 'constant':
        del train['steps']
    objective = {field.name: getattr(run.objective, field.name) for field in dataclasses.fields(run.objective) if field.name != 'model'}
    specs = [programs._spec(run, bucket) for bucket in run.library.buckets]
    used = [sorted(set(run.library.bucket[rows].tolist())) for rows in (..., run.validation)]
    key = repr((train, run.model, objective, run.abstract_state, run.abstract_frozen, specs, used, run.mesh.devices.tolist(),
                dict(run.mesh.shape), run.config.mesh))
    return None if ' at 0x' in key else key


def once(compiling):
    """A function that compiles for a Run, which compiles once for runs of equal keys."""
    @functools.wraps(compiling)
    def known(run, *rest):
        key = key_of(run)
        if key is None:
            return compiling(run, *rest)
        if (compiling, key) not in KNOWN:
            KNOWN[compiling, key] = compiling(run, *rest)
        return KNOWN[compiling, key]
    return known


@contextlib.contextmanager
def programs_once():
    """Within it runs of this process that have equal programs share them."""
    with contextlib.ExitStack() as stack:
        for place, compiling in PLACES.items():
            stack.enter_context(mock.patch(place, once(compiling)))
        yield


def without_figures():
    """A context in which a figure of a page is its label alone."""
    label = lambda figure, alt, salt: markupsafe.Markup('<svg role="img" aria-label="{}"></svg>\n').format(alt)
    return mock.patch('transfer_jax.runtime.page.page.to_svg', label)
