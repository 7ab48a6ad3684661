"""The config keys `metrics` and `predictions`, which both jobs have: their rules, and what both say of them."""
from transfer_jax.experiment.scores.metrics import DEFAULT, METRICS
from transfer_jax.runtime.config import boolean, choice, key, optional, sequence


def metrics_key(use: str, change: str = ''):
    """The field of the key `metrics`. use: what the job does with the main score; change: what another main score costs."""
    of_classes, of_values = (', '.join(DEFAULT[task]) for task in ('classification', 'regression'))
    return key(None, optional(sequence(choice(*METRICS))),
               f'scores of the test rows; the first is the main one, {use}; None: {of_classes}; of a regression {of_values}{change}',
               free=True)


def predictions_key():
    """The field of the key `predictions`."""
    return key(True, boolean(), 'predictions.parquet: what every method says of every test row', free=True)
