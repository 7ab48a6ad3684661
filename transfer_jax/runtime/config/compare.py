"""Two configs compared: the one that a folder stores and the one of now."""
import json

from transfer_jax.runtime.config.check import flatten, plain, renamed_for
from transfer_jax.runtime.config.rules import NO_NAMES


def to_json(config):
    """The config as plain JSON types (dict, list, str, numbers, None), for config.json and for a checkpoint's extras."""
    return json.loads(json.dumps(plain(config), allow_nan=False))


def differences(old, new):
    """['train.steps: 100 -> 200', ...]: what differs between two configs (or what to_json made of them), by dotted key."""
    old, new = flatten(to_json(old), {}), flatten(to_json(new), {})
    text = lambda leaves, key: repr(leaves[key]) if key in leaves else '(absent)'
    return [f'{key}: {text(old, key)} -> {text(new, key)}' for key in {**old, **new}
            if not (key in old and key in new and _equal(old[key], new[key]))]


def _equal(one, other):
    """Whether two JSON values are equal as values: 8 is 8.0, and True is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def old_names(config, rules, renamed=NO_NAMES):
    """['train.rate is now train.learning_rate', ...]: the keys of a stored config whose names are of an earlier version."""
    names = renamed_for(plain(config), rules, renamed)
    leaves = flatten(plain(config), {})
    return [f'{old} is now {new}' for old, new in names.items() if old in leaves]
