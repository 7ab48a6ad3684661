"""Multi-task learning: every task is source and target at once, at the weights that UOWQ gives, beside the published baselines.

    python -m transfer_jax.main --config=configs/multitask.py

Without files it runs on embedded tasks: twelve linear regressions, two clusters and an outlier. One core, about a minute. Expected test
explained variance: uowq .89, equal .86, single .82, pooled .14; without a trunk uowq .89, single .85. docs/results/multitask.md has real
data.
"""
from ml_collections import ConfigDict

from configs import transfer
from transfer_jax.experiment.data.load import DATA_RULES


def transfer_data():
    """The keys of configs/transfer.py's data that say what is read."""
    data = transfer.get_config().data
    return ConfigDict({key: data[key] for key in DATA_RULES})


def get_config():
    """Every key of the job; a key that is not here does not exist."""
    config = ConfigDict()
    config.mode = 'multitask'
    config.data = transfer_data()           # the same keys as in configs/transfer.py; each domain is a task, None the embedded ones
    config.multitask = ConfigDict()
    config.multitask.methods = ('single', 'pooled', 'equal', 'uncertainty', 'gradnorm', 'pcgrad', 'mgda', 'cagrad', 'nash', 'famo',
                                'uowq_static', 'uowq')
    config.multitask.seeds = (0, 1, 2)      # a split each
    config.multitask.train = 0.5            # of the rows, the rest is the test part
    config.multitask.validation = 0.2       # of the training rows: variant, decay and step are chosen on them
    config.multitask.hidden = (16,)         # widths of the trunk that tasks share; () for a linear model each, without a trunk: then
                                            # what combines gradients has nothing to combine, and those methods are all alike
    config.multitask.steps = 300
    config.multitask.batch = None           # rows a task and step; None takes all of them
    config.multitask.learning_rate = 0.03
    config.multitask.decay = (0.001, 0.03)  # L2 decay, tried in turn
    return config
