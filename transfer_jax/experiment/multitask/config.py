"""What the section `multitask` of a config may hold: one rule a key."""
from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.runtime.config import Rule, choice, integer, number, optional, sequence

MULTITASK_RULES = {
    'multitask.methods': sequence(choice(*METHODS)),
    'multitask.seeds': sequence(integer(at_least=0, at_most=2**32 - 1)),
    'multitask.train': number(above=0, below=1),
    'multitask.validation': number(above=0, below=1),
    'multitask.hidden': Rule(allowed='a tuple of widths, () for none', accepts=lambda widths: isinstance(widths, tuple | list)
                             and all(map(integer(at_least=1).accepts, widths))),
    'multitask.steps': Rule(allowed='an integer, a multiple of 10',
                            accepts=lambda steps: integer(at_least=10).accepts(steps) and steps % 10 == 0),
    'multitask.batch': optional(integer(at_least=1)),
    'multitask.learning_rate': number(above=0),
    'multitask.decay': sequence(number(at_least=0)),
}
