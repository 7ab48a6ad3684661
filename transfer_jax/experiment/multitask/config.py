"""The section `multitask` of a config: every key with its default, allowed values and meaning."""
import dataclasses

from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.experiment.multitask.train import SEGMENTS
from transfer_jax.experiment.scores.keys import metrics_key, predictions_key
from transfer_jax.runtime.config import Rule, choice, integer, key, number, optional, sequence

ALL = ('single', 'pooled', 'equal', 'uncertainty', 'gradnorm', 'pcgrad', 'mgda', 'cagrad', 'nash', 'famo',
       'uowq_static', 'uowq')
STEPS = Rule(allowed=f'an integer, a multiple of {SEGMENTS}',
             accepts=lambda steps: integer(at_least=SEGMENTS).accepts(steps) and steps % SEGMENTS == 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Multitask:
    """Multi-task learning."""
    methods: tuple = key(ALL, sequence(choice(*METHODS)), 'that are trained and compared', free=True)
    metrics: tuple | None = metrics_key('by which validation rows choose', '; another first one trains again')
    predictions: bool = predictions_key()
    seeds: tuple = key((0, 1, 2), sequence(integer(at_least=0, at_most=2**32 - 1)), 'a split for each')
    train: float = key(0.5, number(above=0, below=1), 'of the rows; the rest is the test part')
    validation: float = key(0.2, number(above=0, below=1), 'of the training rows: variant, decay and step '
                            'are chosen on them')
    hidden: tuple = key((16,), sequence(integer(at_least=1), empty=True), 'widths of the trunk that tasks '
                        'share; (): a linear model for each task, where methods that combine gradients have '
                        'nothing to combine and are all alike')
    steps: int = key(300, STEPS, 'updates')
    batch: int | None = key(None, optional(integer(at_least=1)), 'rows of a task in an update; None takes '
                            'all of them')
    learning_rate: float = key(0.03, number(above=0), 'of Adam')
    decay: tuple = key((0.001, 0.03), sequence(number(at_least=0)), 'L2 decays that are tried in turn')
