"""A job's config: its keys with their rules in one dataclass, its values in a file, and one line about every fault."""
from transfer_jax.runtime.config.check import check, flatten, plain
from transfer_jax.runtime.config.compare import differences, old_names, to_json
from transfer_jax.runtime.config.describe import describe
from transfer_jax.runtime.config.rules import (
    Each,
    Rule,
    boolean,
    choice,
    integer,
    mapping,
    number,
    optional,
    paths,
    sequence,
    text,
)
from transfer_jax.runtime.config.schema import (
    about,
    allowed_keys,
    defaults,
    each,
    free_keys,
    instance,
    key,
    override,
    renamed,
    rules,
    section,
)

__all__ = ['Each', 'Rule', 'about', 'allowed_keys', 'boolean', 'check', 'choice', 'defaults', 'describe', 'differences', 'each', 'flatten',
           'free_keys', 'instance', 'integer', 'key', 'mapping', 'number', 'old_names', 'optional', 'override', 'paths', 'plain',
           'renamed', 'rules', 'section', 'sequence', 'text', 'to_json']
