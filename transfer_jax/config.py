"""What the transfer job's config may hold: one rule a key. The configs in configs/ say what each key is for."""
from transfer_jax.data.load import DATA_RULES
from transfer_jax.methods.registry import CLASSIFIERS, METHODS, VALIDATED
from transfer_jax.models.build import CHOICES
from transfer_jax.runtime.config import Each, boolean, choice, integer, number, optional, sequence, text
from transfer_jax.runtime.errors import UserError
from transfer_jax.training.policy import SAMPLING
from transfer_jax.training.prepare import AUGMENT, COLUMNS, ROWS

RULES = {
    'mode': choice('transfer'),
    'seed': integer(at_least=0, at_most=2**31 - 1),
    'seeds': integer(at_least=1),
    'targets': optional(sequence(text())),
    'sources': optional(sequence(text())),
    **{f'data.{key}': rule for key, rule in DATA_RULES.items()},
    'data.shots': integer(at_least=1),
    'data.validation': integer(at_least=0),
    'data.test': optional(integer(at_least=1)),
    'data.rows': choice(*ROWS),
    'data.columns': choice(*COLUMNS),
    'data.mean': sequence(number()),
    'data.std': sequence(number(above=0)),
    'data.augment': choice(*AUGMENT),
    'data.resident_gb': number(at_least=0),
    'model.kind': choice(*CHOICES['kind']),
    'model.hidden': Each({}) and sequence_or_empty(),
    'model.trainable': choice(*CHOICES['trainable']),
    'model.dtype': choice(*CHOICES['dtype']),
}
