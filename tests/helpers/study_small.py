"""Study 1 at its smallest size: a few arms and seeds."""
from benchmarks.studies.config import TableConfig
from configs import study_table
from transfer_jax.runtime.config import instance, override

ARMS, SEEDS = ['A uniform', 'C uniform', 'B tqd'], [0, 1, 2]


def config(**changes):
    """The config of size smoke with changes, checked."""
    small = {'size': 'smoke', 'seeds': tuple(SEEDS), 'arms': tuple(ARMS)}
    return override(instance(TableConfig, study_table.get_config()), small | changes)
