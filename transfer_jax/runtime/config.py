"""Checks of a config: one rule a key, and a message of one line for a key that is unknown, missing, mistyped or impossible."""
import dataclasses
import difflib
import functools
import json
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

from transfer_jax.runtime.errors import UserError

NO_NAMES = types.MappingProxyType({})  # no key was renamed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """The values of a key: `allowed` describes them, `accepts` tests one, `plain`: text of a command line is not evaluated."""

    allowed: str
    accepts: Callable[[Any], bool]
    plain: bool = False


@dataclasses.dataclass(frozen=True)
class Each:
    """A dict whose names the user chooses; every value is a section of its own with the rules {key: Rule}."""

    rules: Mapping[str, Rule]


def number(*, at_least=-math.inf, at_most=math.inf, above=-math.inf, below=math.inf, kind='a number'):
    """A finite int or float (never a bool) within inclusive (at_least, at_most) and exclusive (above, below) bounds."""
    bounds = {'at least': at_least, 'at most': at_most, 'above': above, 'below': below}
    allowed = ', '.join([kind, *(f'{word} {bound:g}' for word, bound in bounds.items() if math.isfinite(bound))])

    def accepts(value):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            return False
        return at_least <= value <= at_most and above < value < below
    return Rule(allowed=allowed, accepts=accepts)


def integer(*, at_least=-math.inf, at_most=math.inf):
    """An int (never a bool, never 3.0) within inclusive bounds."""
    rule = number(at_least=at_least, at_most=at_most, kind='an integer')
    return dataclasses.replace(rule, accepts=lambda value: isinstance(value, int) and rule.accepts(value))


def boolean():
    """True or False."""
    return Rule(allowed='True or False', accepts=lambda value: isinstance(value, bool))


def text():
    """A str that is not empty."""
    return Rule(allowed='text', accepts=lambda value: isinstance(value, str) and value != '', plain=True)


def choice(*values):
    """One of the strings."""
    return Rule(allowed=f'one of {", ".join(values)}', accepts=lambda value: isinstance(value, str) and value in values, plain=True)


def optional(rule):
    """None, or what the rule allows."""
    return dataclasses.replace(rule, allowed=f'{rule.allowed}, or None', accepts=lambda value: value is None or rule.accepts(value))


def sequence(rule, *, length=None):
    """A tuple or list, of exactly `length` entries if given, of at least one otherwise; each entry is what the rule allows."""
    size = 'one or more' if length is None else f'{length}'

    def accepts(value):
        return isinstance(value, tuple | list) and (len(value) == length if length else len(value) > 0) and all(map(rule.accepts, value))
    return Rule(allowed=f'a tuple of {size} of: {rule.allowed}', accepts=accepts)


def plain(config):
    """A ConfigDict as nested dicts, its references resolved; a dict as it is."""
    return config.to_dict() if hasattr(config, 'to_dict') else config


def flatten(config, rules, prefix=''):
    """{'train.steps': 5, ...}: the leaves of a nested mapping by dotted key; what stands under a key that has a Rule is one leaf."""
    leaves = {}
    for name, value in config.items():
        key = f'{prefix}{name}'
        if isinstance(value, Mapping) and value and not isinstance(rules.get(key), Rule):
            leaves |= flatten(value, rules, f'{key}.')
        else:
            leaves[key] = value
    return leaves


def rules_for(config, rules):
    """{dotted key: Rule}: the rules with each Each written out for the names that the config has under it."""
    flat = {}
    for key, rule in rules.items():
        if not isinstance(rule, Each):
            flat[key] = rule
            continue
        names = [leaf[len(key) + 1:].split('.')[0] for leaf in flatten(config, {}) if leaf.startswith(f'{key}.')]
        flat |= {f'{key}.{name}.{inner}': inner_rule for name in names for inner, inner_rule in rule.rules.items()}
        if not names:  # a command line may fill it: --config.KEY={'NAME': {...}}
            allowed = f'a dict of names, each with {"; ".join(f"{name}: {inner.allowed}" for name, inner in rule.rules.items())}'
            flat[key] = Rule(allowed=allowed, accepts=functools.partial(_fits_each, rule.rules))
    return flat


def _fits_each(rules, value):
    fits = lambda one: isinstance(one, Mapping) and one.keys() == rules.keys() and all(rules[key].accepts(one[key]) for key in rules)
    return isinstance(value, Mapping) and all(map(fits, value.values()))


def check(config, rules, renamed=NO_NAMES):
    """Checks a config by its rules.

    Args:
      config: ConfigDict or dict, nested.
      rules: {'train.steps': integer(at_least=1), 'sources': Each({'rate': number(above=0)}), ...}; every key of the config needs
        one, and every rule needs its key.
      renamed: {old dotted key: new dotted key}, for the message about a key of an earlier version.

    Raises:
      UserError: the first fault: which key, its value, and what is allowed.
    """
    flat = check_keys(config, rules, renamed)
    leaves = flatten(plain(config), flat)
    for key, rule in flat.items():
        if key not in leaves:
            raise UserError(f'config.{key} is missing; allowed: {rule.allowed}')
        check_value(key, leaves[key], rule)


def check_value(key, value, rule):
    """Raises UserError where the rule of the key refuses the value."""
    if not rule.accepts(value):
        raise UserError(f'config.{key} = {value!r}; allowed: {rule.allowed}')


def check_keys(config, rules, renamed=NO_NAMES):
    """{dotted key: Rule} for this config, as `rules_for`; raises UserError (`unknown_key`) for a key without a rule."""
    flat = rules_for(plain(config), rules)
    for key, value in flatten(plain(config), flat).items():
        empty_section = value == {} and any(name.startswith(f'{key}.') for name in flat)
        if key not in flat and not empty_section:
            raise UserError(unknown_key(key, value, flat, renamed))
    return flat


def unknown_key(key, value, rule_keys, renamed=NO_NAMES):
    """The message about a key without a rule: its new name, the nearest key by spelling or last part, or else its section's keys."""
    if renamed.get(key) in rule_keys:
        return f'config.{key} was renamed: write config.{renamed[key]}'
    inside = [name for name in rule_keys if name.startswith(f'{key}.')]
    if inside:
        return f'config.{key} = {value!r}; allowed: a section with the keys {", ".join(inside)}'
    section, _, last = key.rpartition('.')
    beside = {name.rpartition('.')[2]: name for name in rule_keys if name.rpartition('.')[0] == section}
    near = [beside[name] for name in difflib.get_close_matches(last, beside, 1)]
    near = near or difflib.get_close_matches(key, rule_keys, 1, 0.8) or [name for name in rule_keys if name.rpartition('.')[2] == last]
    if near:
        return f'config.{key} = {value!r}: there is no such key; did you mean config.{near[0]}?'
    allowed = beside.values() or sorted({name.split('.')[0] for name in rule_keys})
    return f'config.{key} = {value!r}: there is no such key; allowed: {", ".join(allowed)}'


def old_names(config, renamed):
    """['train.rate is now train.learning_rate', ...]: the keys of a stored config that were renamed."""
    leaves = flatten(plain(config), {})
    return [f'{old} is now {new}' for old, new in renamed.items() if old in leaves]


def to_json(config):
    """The config as plain JSON types (dict, list, str, numbers, None), for config.json and for a checkpoint's extras."""
    return json.loads(json.dumps(plain(config), allow_nan=False))


def differences(old, new):
    """['train.steps: 100 -> 200', ...]: what differs between two configs (or what to_json made of them), by dotted key."""
    old, new = flatten(to_json(old), {}), flatten(to_json(new), {})
    show = lambda leaves, key: repr(leaves[key]) if key in leaves else '(absent)'
    return [f'{key}: {show(old, key)} -> {show(new, key)}' for key in {**old, **new} if show(old, key) != show(new, key)]
