"""A program under run_app: overrides reach main, faults are one line on stderr with code 2, bugs keep their traceback."""
import os
import pathlib
import subprocess
import sys

import pytest

from transfer_jax.runtime.app import overrides

CONFIG = """
from transfer_jax.runtime.config import defaults
from program import Config
def get_config():
    return defaults(Config)
"""
NAMED = """
from transfer_jax.runtime.config import defaults
from program import Config
def get_config():
    config = defaults(Config)
    config.sources = {'web': {'rate': 1.0}, 'web.v2': {'rate': 1}}
    return config
"""
PROGRAM = """
import dataclasses
import json
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.config import boolean, each, integer, key, number, optional, section, sequence, text, to_json
from transfer_jax.runtime.errors import UserError
define_flags('here', ('run', 'look'))
@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    steps: int = key(5, integer(at_least=1), 'updates')
    lr: float = key(1.0, number(above=0), 'learning rate', renamed_from='speed')
    ema: bool = key(True, boolean(), 'averages or not')
    size: tuple = key((1, 2), sequence(integer(), length=2), 'width and height')
@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    rate: float = key(1.0, number(above=0), 'how often')
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    init_from: str | None = key('assets/x.npz', optional(text()), 'weights')
    train: Train = section(Train)
    sources: dict = each(Source, {}, 'where clips are from')
def main(config, workdir, mode):
    if workdir == 'full':
        raise UserError('disk full: free some')
    if workdir == 'bug':
        raise KeyError('a bug')
    if workdir == 'stopped':
        raise KeyboardInterrupt
    print(json.dumps({'workdir': workdir, 'mode': mode, **to_json(config)}))
if __name__ == '__main__':
    run_app(main, Config, ('workdir', 'mode'))
"""


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('app')
    (folder / 'program.py').write_text(PROGRAM)
    (folder / 'good.py').write_text(CONFIG)
    (folder / 'named.py').write_text(NAMED)
    (folder / 'buggy.py').write_text('def get_config():\n    return {}["absent"]\n')
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[3])}

    def run(*arguments):
        command = [sys.executable, 'program.py', *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return run


def test_overrides_of_every_kind_reach_main(run):
    done = run('--config.train.steps=7', '--config=good.py', '--workdir=w', '--config.init_from=None', '--config.train.ema=false',
               '--config.train.size=(3, 4)', '--config.train.lr=1e-2', "--config.sources={'web.v2': {'rate': 2}}")
    assert done.returncode == 0, done.stderr
    wanted = ('{"workdir": "w", "mode": "run", "init_from": null, "train": {"steps": 7, "lr": 0.01, "ema": false, "size": [3, 4]}, '
              '"sources": {"web.v2": {"rate": 2.0}}}')
    assert done.stdout.strip() == wanted


def test_a_value_of_a_section_whose_name_has_a_dot_is_set_by_its_key(run):
    done = run('--config=named.py', '--workdir=w', '--config.sources.web.v2.rate=5')
    assert done.returncode == 0 and done.stdout.strip().endswith('"sources": {"web": {"rate": 1.0}, "web.v2": {"rate": 5.0}}}'), done.stderr


@pytest.mark.parametrize('arguments, words', [
    (['--config=good.py', '--config.train.stpes=5'], "config.train.stpes = '5': there is no such key; did you mean config.train.steps?"),
    (['--config=good.py', '--config.train.speed=2'], 'config.train.speed was renamed: write config.train.lr'),
    (['--config=good.py', '--config.train.steps=abc'], "config.train.steps = 'abc'; allowed: an integer, at least 1"),
    (['--config=good.py', '--config.train.lr=true'], 'config.train.lr = True; allowed: a number, above 0'),
    (['--config=good.py', '--config.train.lr=nan'], "config.train.lr = 'nan'; allowed: a number, above 0"),
    (['--config=good.py', '--config.train.steps'], '--config.train.steps has no value'),
    (['--config=good.py', '--wrokdir=x'], "Unknown command line flag 'wrokdir'"),
    (['--config=good.py', 'stray'], "'stray' is no flag"),
    (['--config=good.py', '--config.sources={3: {"rate": 1}}'], 'config.sources = {3: {\'rate\': 1}}; allowed: a dict of names in quotes'),
    (['--config=gone.py'], '--config=gone.py: there is no such file'),
    ([], 'name a config file'),
    (['--config=good.py', '--workdir=full'], 'disk full: free some'),
    (['--config=good.py', '--mode=dance'], 'run|look'),
])
def test_the_users_faults_are_one_line_and_code_2(run, arguments, words):
    done = run('--workdir=w', *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1 and words in done.stderr
    assert done.stdout == ''


@pytest.mark.parametrize('arguments', [['--config=buggy.py', '--workdir=w'], ['--config=good.py', '--workdir=bug']])
def test_bugs_keep_their_traceback(run, arguments):
    done = run(*arguments)
    assert done.returncode == 1 and 'Traceback' in done.stderr and 'KeyError' in done.stderr


def test_the_overrides_of_a_command_line_are_as_the_user_wrote_them():
    argv = ['main', '--config=good.py', '--config.train.lr=1e-3', '--workdir=w', '--config.names=("a=b",)', '--config.train.steps']
    assert overrides(argv) == {'train.lr': '1e-3', 'names': '("a=b",)'}


def test_ctrl_c_is_one_line(run):
    """What stood there was a traceback, while clips were scored and at a second Ctrl-C."""
    done = run('--config=good.py', '--workdir=stopped')
    assert (done.returncode, done.stdout, done.stderr) == (130, '', 'stopped; the same command goes on\n')
