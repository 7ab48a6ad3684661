"""The second run of a comparison: the Run of the same clips, keys and steps by the law config.compare, and what of it is there."""
import contextlib
import dataclasses
import io
import json

from tqd_jax.config import compared_law, law_config
from tqd_jax.training.changes import FILE, read_changes
from tqd_jax.training.resume import require_same_config
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints

FOLDER, RECORD = 'compare', 'comparison.json'


def second_folder(config, workdir):
    """The folder of the second run that config.compare asks for."""
    return workdir / FOLDER / config.compare


def second_config(config, steps):
    """The config of the second run: another law, as many steps, and neither samples on its way nor traces. No change has its leave."""
    replace = dataclasses.replace
    return replace(config, compare=None, law=compared_law(config), train=replace(config.train, steps=steps),
                   data=replace(config.data, allow_changes=False), sample=replace(config.sample, every=None),
                   profile=replace(config.profile, steps=None))


def second_run(run, steps):
    """The second Run: the clips, order, noise, start and data of `run`, by the law config.compare, in a folder of its own."""
    config = second_config(run.config, steps)
    library = _library(run, config)
    with contextlib.redirect_stdout(io.StringIO()):
        loader = run.foundation.loader(library, run.workdir)
    return dataclasses.replace(run, config=config, folder=second_folder(run.config, run.workdir), library=library, loader=loader,
                               label=f'train ({run.config.compare})')


def check_clips(run):
    """Raises UserError where the law of config.compare leaves no clip to the expert that the run trains.

    Only an expert's clips depend on the law; every other Run has the clips of its second one.
    """
    if run.foundation.expert is None or compared_law(run.config) is None or read_changes(run.workdir):
        return
    try:
        _library(run, second_config(run.config, run.config.train.steps))
    except UserError as error:
        raise UserError(f'config.compare = {run.config.compare!r}, and in the second run by that law {error}; config.compare=None '
                        'leaves it out') from None


def _library(run, config):
    """The Library of the second run's config; what was printed of the same clips before is not printed again."""
    with contextlib.redirect_stdout(io.StringIO()):
        return run.foundation.library(run.workdir, law_config(config.law))


def check_second(config, workdir):
    """Raises UserError where the folder of the second run has a checkpoint of another config."""
    if compared_law(config) is None or config.data.allow_changes or read_changes(workdir):  # what was changed is not compared
        return
    folder = second_folder(config, workdir)
    checkpoints = Checkpoints(folder / 'checkpoints')
    latest = checkpoints.latest()
    if latest is not None:
        require_same_config(folder, second_config(config, config.train.steps), checkpoints.extras(latest))


def lacks_comparison(config, workdir, steps):
    """Whether config.compare asks for a comparison at so many steps that is not there; a run that was changed on its way has none."""
    if compared_law(config) is None or read_changes(workdir):
        return False
    path = second_folder(config, workdir) / RECORD
    return not path.exists() or json.loads(path.read_text(encoding='utf-8'))['steps'] != steps


def tell_left_out(config, workdir):
    """Prints that there is no second run where config.compare asks for one and the run was changed on its way."""
    if compared_law(config) is not None and read_changes(workdir):
        print(f'no second run by config.compare = {config.compare!r}: this run was changed on its way ({workdir / FILE}), so no run is the '
              'same but for the law; to compare, name another --workdir', flush=True)
