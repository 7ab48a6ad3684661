"""A schema: frozen dataclasses whose fields say of every key its default, its rule, its meaning, and what a resumed run may change.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Train:
        steps: int = key(300, integer(at_least=1), 'updates of the weights', free=True)

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        seed: int = key(0, integer(at_least=0), 'of all that is random')
        train: Train = section(Train)

A config file sets values only: `config = defaults(Config); config.train.steps = 500`. A job gets `instance(Config, config)`.
"""
import dataclasses

from ml_collections import ConfigDict

from transfer_jax.runtime.config.check import check, place, plain
from transfer_jax.runtime.config.rules import Each, Rule
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_homes

FIELD = 'key'  # of the metadata of a field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """What a field says of its key; free: a resumed run may change it. renamed_from: its name in an earlier version.

    by_leave: a resumed run may change it where the user allows changes, since it changes the numbers and not the shape of the state.

    schema: the dataclass of the section that the field is, or of each section under it where the rule is an Each.
    """

    rule: Rule | Each | None = None
    meaning: str = ''
    free: bool = False
    by_leave: bool = False
    renamed_from: str | None = None
    schema: type | None = None


class Values(ConfigDict):
    """A ConfigDict whose names may have dots, and whose values are of any type: the rules say which are right."""

    def __init__(self, values=None):
        super().__init__(type_safe=False, allow_dotted_keys=True)
        for name, value in (values or {}).items():
            self[name] = value

    def __setitem__(self, name, value):
        super().__setitem__(name, Values(value) if isinstance(value, dict) else value)


def key(default, rule, meaning, free=False, by_leave=False, renamed_from=None):
    """The field of one key. `free`, `by_leave`: what a resumed run may do; `renamed_from`: its old name in the same section."""
    own = Key(rule=rule, meaning=meaning, free=free, by_leave=by_leave, renamed_from=renamed_from)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={FIELD: own})
    return dataclasses.field(default=default, metadata={FIELD: own})


def section(Schema, free=False):
    """The field of a section of keys; `free`: a resumed run may change all of them."""
    return dataclasses.field(default_factory=Schema, metadata={FIELD: Key(free=free, schema=Schema)})


def each(Schema, default, meaning, free=False, by_leave=False):
    """The field of a dict {name of the user's choice: section of Schema}."""
    own = Key(rule=Each(rules(Schema), renamed(Schema)), meaning=meaning, free=free, by_leave=by_leave, schema=Schema)
    return dataclasses.field(default_factory=lambda: dict(default), metadata={FIELD: own})


def about(field):
    """The Key of a dataclass's field that `key`, `section` or `each` made."""
    return field.metadata[FIELD]


def keys(Schema, prefix='', free=False):
    """{dotted key: Key} of a schema; an Each is one key."""
    result = {}
    for field in dataclasses.fields(Schema):
        own, name = about(field), f'{prefix}{field.name}'
        if own.rule is None:
            result |= keys(own.schema, f'{name}.', free or own.free)
        else:
            result[name] = dataclasses.replace(own, free=free or own.free)
    return result


def rules(Schema):
    """{dotted key: Rule or Each} of a schema, as `check` takes them."""
    return {name: one.rule for name, one in keys(Schema).items()}


def renamed(Schema):
    """{old dotted key: new dotted key} of a schema, but for what is under an Each, which has its own."""
    old = lambda name, last: '.'.join([*name.split('.')[:-1], last])
    return {old(name, one.renamed_from): name for name, one in keys(Schema).items() if one.renamed_from}


def free_keys(Schema):
    """The dotted keys that a resumed run may change."""
    return tuple(name for name, one in keys(Schema).items() if one.free)


def allowed_keys(Schema):
    """The dotted keys that a resumed run may change where the user allows changes."""
    return tuple(name for name, one in keys(Schema).items() if one.by_leave)


def defaults(Schema):
    """A ConfigDict of the schema's defaults, for a config file to change."""
    return Values(plain(Schema()))


def instance(Schema, config):
    """The schema's frozen dataclass of a config (ConfigDict, dict or dataclass), home folders in its paths replaced.

    Raises UserError, as `check` does, and for a home folder that is not there.
    """
    values = plain(config)
    check(values, rules(Schema), renamed(Schema))
    return _instance(Schema, values)


def override(config, changes):
    """An instance of a schema with other values by dotted key, {'train.steps': 5}. Raises UserError, as `check` does."""
    values = plain(config)
    for name, value in changes.items():
        place(values, name, value)
    return instance(type(config), values)


def _instance(Schema, values, prefix=''):
    arguments = {}
    for field in dataclasses.fields(Schema):
        own, value = about(field), values[field.name]
        if own.rule is None:
            value = _instance(own.schema, value, f'{prefix}{field.name}.')
        elif own.schema is not None:
            value = {name: _instance(own.schema, one, f'{prefix}{field.name}.{name}.') for name, one in value.items()}
        elif own.rule.path and isinstance(value, str):
            value = _at_homes(f'{prefix}{field.name}', value)
        arguments[field.name] = float(value) if field.type is float else _as_tuples(value)
    return Schema(**arguments)


def _at_homes(name, text):
    try:
        return at_homes(text)
    except UserError as error:
        raise UserError(f'config.{name}: {error}') from None


def _as_tuples(value):
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value
