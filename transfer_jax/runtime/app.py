"""The frame of a main: flags, the config file with its overrides, one line for the user's errors, a traceback for bugs."""
import ast
import functools
import logging
import os
import sys

from absl import app, flags
from ml_collections import config_flags

from transfer_jax.runtime.config import instance, renamed, rules
from transfer_jax.runtime.config.check import check_keys, check_value, place, renamed_for, unknown_key
from transfer_jax.runtime.errors import UserError, errors_in_one_line
from transfer_jax.runtime.folder.home import at_home
from transfer_jax.runtime.parallel.join import FLAGS
from transfer_jax.runtime.parallel.joined import run_joined

FLAG = 'config'
PREFIX = f'--{FLAG}.'


def define_flags(workdir=None, modes=()):
    """The flags --config, --workdir (where it has a default), where there are modes --mode (the first is the default), and those of join.

    Each is defined once in a process, however many mains it imports.
    """
    if FLAG not in flags.FLAGS:
        config_flags.DEFINE_config_file(FLAG, None, 'the config file, as in configs/')
    if workdir is not None and 'workdir' not in flags.FLAGS:
        flags.DEFINE_string('workdir', workdir, 'where the run lives, with its checkpoints, metrics and report: a folder, or a URL gs:// or s3://')
    if modes and 'mode' not in flags.FLAGS:
        flags.DEFINE_enum('mode', modes[0], modes, 'what to do')
    define_join_flags()


def define_join_flags():
    """The flags --coordinator, --processes and --process of join."""
    if 'coordinator' not in flags.FLAGS:
        flags.DEFINE_string('coordinator', None, 'of a job of several processes: host:port of the first')
        flags.DEFINE_integer('processes', None, 'of a job of several processes: how many they are', lower_bound=1)
        flags.DEFINE_integer('process', None, 'of a job of several processes: the number of this one, from 0', lower_bound=0)


def join_flags():
    """{name: value} of the flags of join."""
    return {name: flags.FLAGS[name].value for name in FLAGS}


def run_app(main, schema, arguments=('workdir',)):
    """Runs main(config, *values of the flags `arguments`) as a program; one line on stderr ends it: code 2 for UserError, 130 for Ctrl-C.

    The program defines its flags beforehand, by define_flags. `--config.a.b=value` overrides any key that has a rule;
    the value is read as a Python literal where the rule is not one for text, and None is None everywhere.

    Args:
      main: function of the checked instance of the schema, and of the flags' values.
      schema: the dataclass of a config, or a function of the config file's content that returns it.
      arguments: names of the flags whose values main takes.
    """
    for package in ('jax', 'fsspec'):  # of accelerators that are absent, and of every file that is opened
        logging.getLogger(package).setLevel(logging.WARNING)
    logging.getLogger('gcsfs').setLevel(logging.CRITICAL)  # it prints with a traceback what it then raises, which is one line here
    try:
        with errors_in_one_line():
            app.run(functools.partial(_run, main, arguments), flags_parser=functools.partial(parse, schema=schema))
    except KeyboardInterrupt:  # where no StopRequest waits for it, or at the second Ctrl-C
        print('stopped; the same command goes on', file=sys.stderr)
        sys.exit(130)


def _run(main, arguments, config):
    run_joined(functools.partial(main, config, *(flags.FLAGS[name].value for name in arguments)), **join_flags())


def parse(argv, schema):
    """The instance of the schema that a command line asks for; the other flags go to absl's FLAGS. Raises UserError."""
    return overridden(_load([_at_home(word) for word in argv if not word.startswith(PREFIX)]), argv[1:], schema)


def _at_home(word):
    """A word of a command line, the home folder replaced where it names the config file."""
    flag, equals, file = word.partition('=')
    return f'{flag}={at_home(file)}' if equals and flag.lstrip('-') == FLAG else word


def overridden(config, words, schema):
    """The instance of the schema that a config file's content asks for, with the overrides among the words. Raises UserError."""
    schema = schema if isinstance(schema, type) else schema(config)
    flat = check_keys(config, rules(schema), renamed(schema))
    names = renamed_for(config, rules(schema), renamed(schema))
    for word in words:
        if word.startswith(PREFIX):
            _override(config, flat, names, *word.removeprefix(PREFIX).partition('='))
    return instance(schema, config)


def overrides(argv):
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


def _override(config, rule_keys, names, key, equals, text):
    """Sets one key of the config from text; raises UserError for an unknown key, no value, or one that the rule refuses.

    ConfigDict would cast where it can (True becomes 1.0), hence the check before the value goes in.
    """
    if not equals:
        raise UserError(f'--{FLAG}.{key} has no value: write --{FLAG}.{key}=value')
    if key not in rule_keys:
        raise UserError(unknown_key(key, text, rule_keys, names))
    value = _read(text, rule_keys[key])
    check_value(key, value, rule_keys[key])
    with config.unlocked(), config.ignore_type():
        place(config, key, value)


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
