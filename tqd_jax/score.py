"""Scores a library of clips: what moves, what looks good, and what cannot be used, as a table and a page.

    python -m tqd_jax.score --clips=FOLDER_OR_LIST --output=scores.parquet [--workers=8]

Stopped at any moment, even by SIGKILL, the same command goes on with what is missing. Beside the table come quality.html and
normaliser.json, and what was measured is kept in scores.parquet.store, by content: moved or renamed, a clip is not measured again.
"""
import dataclasses
import sqlite3
import sys

from absl import app, flags, logging

from tqd_jax.clips.container import Limits
from tqd_jax.report.quality import write_quality_report
from tqd_jax.scoring.config import ScoreConfig
from tqd_jax.scoring.library import score_library, unread
from tqd_jax.scoring.table import save_maps
from tqd_jax.timesteps import quality as law
from transfer_jax.runtime.config import about, boolean, choice, integer, key
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home, at_homes
from transfer_jax.runtime.paths import is_of_store, path_of

FLAGS = flags.FLAGS
DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float, tuple: flags.DEFINE_list}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(ScoreConfig):
    """All that the command line says: how the library is scored, and the page about it."""
    law: str = key('beta', choice(*law.LAWS), 'the timestep law that the page shows')
    report: bool = key(True, boolean(), 'write quality.html')


def flag_fields(schema):
    """The fields of a dataclass that are flags."""
    return [field for field in dataclasses.fields(schema) if field.name != 'limits']


def define(name, default, rule, meaning):
    """Defines one flag."""
    DEFINE.get(type(default), flags.DEFINE_string)(name, default, meaning)
    flags.register_validator(name, lambda value: rule.accepts(none_if_empty(default, value)), message=f'must be {rule.allowed}')


def none_if_empty(default, value):
    """The value of a flag: an empty text, as of a shell variable that is not set, is None where that is the default."""
    return None if default is None and value == '' else value


for one in flag_fields(Command):
    define(one.name, one.default, about(one).rule, about(one).meaning)
for one in flag_fields(Limits):
    define(one.name, one.default, integer(at_least=1), 'limit of a clip: see tqd_jax.clips.container.Limits')


def command():
    """The Command of the flags."""
    flag = lambda field: none_if_empty(field.default, FLAGS[field.name].value)
    value = lambda field: _at_homes(about(field).rule, tuple(flag(field)) if field.type is tuple else flag(field))
    limits = {field.name: flag(field) for field in flag_fields(Limits)}
    return Command(**{field.name: value(field) for field in flag_fields(Command)}, limits=Limits(**limits))


def _at_homes(rule, value):
    """The value of a flag with home folders replaced, where its rule is one of paths."""
    if value is None or not rule.path:
        return value
    return tuple(map(at_home, value)) if isinstance(value, tuple) else at_homes(value)


def parse(argv):
    """Reads the flags; an argument that is no flag, an unknown flag or a bad value is one line on stderr and code 2."""
    renamed = {about(field).renamed_from: field.name for field in flag_fields(Command)}
    try:
        rest = FLAGS(argv)
    except flags.Error as error:
        new = renamed.get(error.flagname) if isinstance(error, flags.UnrecognizedFlagError) else None
        fail(f'--{error.flagname} was renamed: write --{new}' if new else f'{" ".join(str(error).split())} (--help lists the flags)')
    if rest[1:]:
        fail(f'{rest[1]!r} is no flag: flags are written --name=value; --help lists them')
    return rest


def fail(message):
    """Ends the program with one line on stderr and code 2."""
    print(f'error: {message}', file=sys.stderr)
    sys.exit(2)


def main(argv):
    """Scores, writes, reports; a user's error is one line on stderr and code 2."""
    logging.set_verbosity(logging.WARNING)  # JAX reports at length which accelerators are not there
    config = None
    try:
        config = command()
        run(config)
    except UserError as error:
        fail(error)
    except Exception as error:
        if not isinstance(error, OSError | sqlite3.Error) and not is_of_store(error):  # a full disk, a store that is gone
            raise
        fail(f'{" ".join(str(error).split())} ({config.output}, or what lies beside it); the same command goes on')
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        sys.exit(130)


def run(config):
    """The whole job of a Command. Raises UserError before anything is measured where it cannot be followed."""
    summary = score_library(config)
    without = summary.clips - summary.scored
    reasons = f'; {without} {"has" if without == 1 else "have"} a reason instead' if without else ''
    print(f'{summary.scored} of {counted(summary.clips, "clip")} scored: {config.output}{reasons}')
    write_beside(config, summary)


def write_beside(config, summary):
    """Writes what lies beside the table, and prints where it is."""
    if again := unread(config.output):
        print(f'{again} could not be read, or not in time: --retry asks again')
    folder = path_of(config.output).parent
    if summary.mapped and summary.maps:  # else mq and vq are of another tool, or there are none
        save_maps(folder / 'normaliser.json', summary.maps)
    if config.report:
        law_config = law.LawConfig(kind=config.law)
        write_quality_report(config.output, folder / 'quality.html', law=law_config, workers=max(1, config.workers))
        print(f'report: {folder / "quality.html"}')


if __name__ == '__main__':
    app.run(main, flags_parser=parse)
