"""The data sets of the linear benchmarks, and the command line of the job on each."""
import importlib
import pathlib

from transfer_jax.experiment.config import TransferConfig
from transfer_jax.runtime.app import overridden

METHODS = ('target_only', 'all_sources', 'cv_global', 'uowq_static', 'uowq', 'wadn')
RUNS = pathlib.Path('runs/linear')
SETS = {'digits4': ('configs/digits4.py', 'digits4/digits4_16x16.npz', ()),
        'office_caltech': ('configs/office_caltech.py', 'office_caltech10/surf800', ()),
        'embedded': ('configs/transfer.py', None, ()),
        'sentiment': ('configs/transfer.py', RUNS.absolute() / 'reviews', ('--config.data.shots=25',))}


def flags(name, data, seeds, targets=''):
    """The command line of a set's job, but for its solver and folder."""
    config, path, more = SETS[name]
    where = [] if path is None else [f'--config.data.path={pathlib.Path(data) / path}']
    few = [f'--config.targets={tuple(targets.split(","))}'] if targets else []
    return [f'--config={config}', *where, *more, *few, f'--config.seeds={seeds}', f'--config.transfer.methods={METHODS}']


def config_of(name, data, *rest):
    """The TransferConfig of a set's job."""
    first, *words = flags(name, data, *rest)
    module = first.removeprefix('--config=').removesuffix('.py').replace('/', '.')
    return overridden(importlib.import_module(module).get_config(), words, TransferConfig)
