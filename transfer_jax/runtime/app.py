"""The frame of a main: flags, the config file with its overrides, one line for the user's errors, a traceback for bugs."""
import ast
import functools
import logging
import os
import sys

from absl import app, flags
from ml_collections import config_flags

from transfer_jax.runtime import config as rules_of
from transfer_jax.runtime.errors import UserError

FLAG = 'config'
PREFIX = f'--{FLAG}.'


def define_flags(workdir):
    """The flags --config and --workdir (with this default), once in a process, however many mains it imports."""
    if FLAG not in flags.FLAGS:
        flags.DEFINE_string('workdir', workdir, 'where the run lives: what it makes, its checkpoints, metrics and report')
        config_flags.DEFINE_config_file(FLAG, None, 'the config file, as in configs/')


def run_app(main, rules, renamed=rules_of.NO_NAMES):
    """Runs main(config) as a program and exits with its return code; UserError ends it with one line on stderr and code 2.

    The program defines its flags beforehand, by define_flags and its own. `--config.a.b=value` overrides any key
    that has a rule; the value is read as a Python literal where the rule is not one for text, and None is None everywhere.

    Args:
      main: function of the checked ConfigDict.
      rules: what `config.check` takes, or a function of the config file's content that returns it.
      renamed: {old key: new key}; a config or an override with an old key is refused with the new one in the message.
    """
    logging.getLogger('jax').setLevel(logging.WARNING)  # it prints long warnings about accelerators that are absent
    try:
        app.run(main, flags_parser=functools.partial(parse, rules=rules, renamed=renamed))
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


def parse(argv, rules, renamed=rules_of.NO_NAMES):
    """The config that a command line asks for, checked; the other flags go to absl's FLAGS. Raises UserError."""
    config = _load([word for word in argv if not word.startswith(PREFIX)])
    rules = rules(config) if callable(rules) else rules
    flat = rules_of.check_keys(config, rules, renamed)
    for word in argv[1:]:
        if word.startswith(PREFIX):
            _override(config, flat, renamed, *word.removeprefix(PREFIX).partition('='))
    rules_of.check(config, rules, renamed)
    return config


def given(argv):
    """{key: text} of the config that a command line overrides."""
    return dict(word.removeprefix(PREFIX).split('=', 1) for word in argv[1:] if word.startswith(PREFIX) and '=' in word)


def _load(argv):
    """Parses all flags but the overrides, which config_flags would look for in sys.argv and answer with a traceback."""
    before, sys.argv = sys.argv, argv
    try:
        stray = flags.FLAGS(argv)[1:]
    except flags.Error as error:
        raise UserError(f'{error} (--help lists the flags)') from None
    finally:
        sys.argv = before
    if stray:
        raise UserError(f'{stray[0]!r} is no flag: flags are written --name=value; --help lists them')
    path = flags.FLAGS[FLAG].config_filename if flags.FLAGS[FLAG].value is not None else ''
    if not os.path.isfile(path.split(':')[0]):
        raise UserError(f'--{FLAG}={path}: there is no such file; name a config file, as in --{FLAG}=configs/NAME.py')
    return flags.FLAGS[FLAG].value


def _override(config, rules, renamed, key, equals, text):
    """Sets one key of the config from text; raises UserError for an unknown key, no value, or one that the rule refuses.

    ConfigDict would cast where it can (True becomes 1.0), hence the check before the value goes in.
    """
    if not equals:
        raise UserError(f'--{FLAG}.{key} has no value: write --{FLAG}.{key}=value')
    if key not in rules:
        raise UserError(rules_of.unknown_key(key, text, rules, renamed))
    value = _read(text, rules[key])
    rules_of.check_value(key, value, rules[key])
    *sections, name = key.split('.')
    section = functools.reduce(lambda node, part: node.get(part, {}), sections, config)
    with config.unlocked(), config.ignore_type():
        section[name] = value


def _read(text, rule):
    """The value that text stands for: None where the rule allows it, text for a rule of text, else a Python literal if it is one."""
    if text.lower() == 'none' and rule.accepts(None):
        return None
    if rule.plain:
        return text
    try:
        return ast.literal_eval(text.capitalize() if text.lower() in ('true', 'false') else text)
    except (ValueError, SyntaxError):
        return text
