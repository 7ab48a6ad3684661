"""Checks of a config by rules: a message of one line for a key that is unknown, missing, mistyped or impossible."""
import dataclasses
import difflib
from collections.abc import Mapping

from transfer_jax.runtime.config.meanings import by_meaning
from transfer_jax.runtime.config.rules import NO_NAMES, Each, Rule
from transfer_jax.runtime.errors import UserError


def plain(config):
    """A config (ConfigDict, dataclass or mapping) as nested dicts, its references resolved; any other value as it is."""
    if hasattr(config, 'to_dict'):
        return config.to_dict()
    if dataclasses.is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    return {name: plain(value) for name, value in config.items()} if isinstance(config, Mapping) else config


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
        names = names_under(config, key)
        flat |= {f'{key}.{name}.{inner}': inner_rule for name in names for inner, inner_rule in rule.rules.items()}
        if not names:  # a command line may fill it: --config.KEY={'NAME': {...}}
            allowed = '; '.join(f'{name}: {inner.allowed}' for name, inner in rule.rules.items())
            flat[key] = Rule(allowed=f'a dict of names in quotes, each with {allowed}',
                             accepts=lambda value: isinstance(value, Mapping) and all(isinstance(name, str) for name in value))
    return flat


def renamed_for(config, rules, renamed=NO_NAMES):
    """{old dotted key: new dotted key}: `renamed`, and those of each Each for the names that the config has under it."""
    inner = {f'{key}.{name}.{old}': f'{key}.{name}.{new}' for key, rule in rules.items() if isinstance(rule, Each)
             for name in names_under(config, key) for old, new in rule.renamed.items()}
    return {**renamed, **inner}


def names_under(config, key):
    """The names that the user chose under the key of an Each, in order; they may have dots. Raises UserError for one that is no text."""
    node = plain(config)
    for part in key.split('.'):
        node = node.get(part) if isinstance(node, Mapping) else None
    names = list(node) if isinstance(node, Mapping) else []
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise UserError(f'config.{key}: the name {wrong[0]!r} is no text; write {str(wrong[0])!r}, in quotes')
    return names


def place(values, key, value):
    """Sets the value of a dotted key in a nested dict or ConfigDict; names of sections may have dots; missing sections are made."""
    inside = [name for name, inner in values.items() if hasattr(inner, 'items') and key.startswith(f'{name}.')]
    if inside:
        name = max(inside, key=len)
        place(values[name], key[len(name) + 1:], value)
        return
    first, _, rest = key.partition('.')
    if rest and key not in values:
        values[first] = {}
        place(values[first], rest, value)
    else:
        values[key] = value


def check(config, rules, renamed=NO_NAMES):
    """Checks a config by its rules.

    Args:
      config: ConfigDict, dataclass or dict, nested.
      rules: {'train.steps': integer(at_least=1), 'sources': Each({'rate': number(above=0)}), ...}; every key of the
        config needs one, and every rule needs its key.
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
    config = plain(config)
    tops = dict.fromkeys(name.split('.')[0] for name in (*rules, *renamed))
    strange = [name for name in config if name not in tops]
    if len(strange) > len(config) - len(strange):
        raise UserError(f'the config file is one of another program: it has {", ".join(strange)}, and this one reads {", ".join(tops)}')
    flat, names = rules_for(config, rules), renamed_for(config, rules, renamed)
    for key, value in flatten(config, flat).items():
        empty_section = value == {} and any(name.startswith(f'{key}.') for name in flat)
        if key not in flat and not empty_section:
            raise UserError(unknown_key(key, value, flat, names))
    return flat


def unknown_key(key, value, rule_keys, renamed=NO_NAMES):
    """The message about a key without a rule: its new name, the value that it is inside of, the key of that meaning,
    the nearest key by spelling or last part, or its section's keys."""
    if renamed.get(key) in rule_keys:
        return f'config.{key} was renamed: write config.{renamed[key]}'
    inside = [name for name in rule_keys if name.startswith(f'{key}.')]
    if inside:
        return f'config.{key} = {value!r}; allowed: a section with the keys {", ".join(inside)}'
    whole = [name for name in rule_keys if key.startswith(f'{name}.')]
    if whole:
        return f'config.{key} = {value!r}: there is no such key; give config.{whole[0]} as one value, {rule_keys[whole[0]].allowed}'
    if meaning := by_meaning(key, rule_keys):
        return f'config.{key} = {value!r}: there is no such key; {meaning}'
    section, _, last = key.rpartition('.')
    beside = {name.rpartition('.')[2]: name for name in rule_keys if name.rpartition('.')[0] == section}
    near = [beside[name] for name in difflib.get_close_matches(last, beside, 1, 0.65)]  # at .6 scores are workers
    near = near or difflib.get_close_matches(key, rule_keys, 1, 0.8)
    near = near or [name for name in rule_keys if name.rpartition('.')[2] == last]
    if near:
        return f'config.{key} = {value!r}: there is no such key; did you mean config.{near[0]}?'
    allowed = beside.values() or sorted({name.split('.')[0] for name in rule_keys})
    return f'config.{key} = {value!r}: there is no such key; allowed: {", ".join(allowed)}'
