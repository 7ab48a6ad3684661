"""Multi-task learning: every task is source and target at once, at the weights that UOWQ gives, beside the published baselines.

    python -m transfer_jax.main --config=configs/multitask.py --workdir=runs/multitask

Without files it runs on embedded tasks: twelve linear regressions, two clusters and an outlier. Machine: one core, about a minute.
Expected test explained variance: uowq .89, equal .86, single .82, pooled .14; without a trunk (--config.multitask.hidden='()') uowq .89,
single .85. docs/results/multitask.md has real data.

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """The defaults, which are this job's; here are those that a job of your own will change first."""
    config = defaults(MultitaskConfig)
    config.data.path = None
    config.multitask.seeds = (0, 1, 2)
    config.multitask.hidden = (16,)
    config.multitask.steps = 300
    config.multitask.learning_rate = 0.03
    return config
