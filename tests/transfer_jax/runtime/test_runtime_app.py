"""A program under run_app: overrides reach main, faults are one line on stderr with code 2, bugs keep their traceback."""
import os
import pathlib
import subprocess
import sys

import pytest

from transfer_jax.runtime.app import given

CONFIG = """
import ml_collections
def get_config():
    return ml_collections.ConfigDict({'init_from': 'assets/x.npz', 'train': {'steps': 5, 'lr': 1.0, 'ema': True, 'size': (1, 2)}})
"""
PROGRAM = """
import json
from absl import flags
from ml_collections import config_flags
from transfer_jax.runtime.app import run_app
from transfer_jax.runtime.config import boolean, integer, number, optional, sequence, text, to_json
from transfer_jax.runtime.errors import UserError
config_flags.DEFINE_config_file('config')
WORKDIR = flags.DEFINE_string('workdir', None, 'where', required=True)
RULES = {'init_from': optional(text()), 'train.steps': integer(at_least=1), 'train.lr': number(above=0), 'train.ema': boolean(),
         'train.size': sequence(integer(), length=2)}
def main(config):
    if WORKDIR.value == 'full':
        raise UserError('disk full: free some')
    if WORKDIR.value == 'bug':
        raise KeyError('a bug')
    print(json.dumps({'workdir': WORKDIR.value, **to_json(config)}))
run_app(main, RULES, {'train.speed': 'train.lr'})
"""


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('app')
    (folder / 'program.py').write_text(PROGRAM)
    (folder / 'good.py').write_text(CONFIG)
    (folder / 'buggy.py').write_text('def get_config():\n    return {}["absent"]\n')
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[3])}

    def run(*arguments):
        command = [sys.executable, 'program.py', *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return run


def test_overrides_of_every_kind_reach_main(run):
    done = run('--config.train.steps=7', '--config=good.py', '--workdir=w', '--config.init_from=None', '--config.train.ema=false',
               '--config.train.size=(3, 4)', '--config.train.lr=1e-2')
    assert done.returncode == 0, done.stderr
    wanted = '{"workdir": "w", "init_from": null, "train": {"ema": false, "lr": 0.01, "size": [3, 4], "steps": 7}}'
    assert done.stdout.strip() == wanted


@pytest.mark.parametrize('arguments, words', [
    (['--config=good.py', '--config.train.stpes=5'], "config.train.stpes = '5': there is no such key; did you mean config.train.steps?"),
    (['--config=good.py', '--config.train.speed=2'], 'config.train.speed was renamed: write config.train.lr'),
    (['--config=good.py', '--config.train.steps=abc'], "config.train.steps = 'abc'; allowed: an integer, at least 1"),
    (['--config=good.py', '--config.train.lr=true'], 'config.train.lr = True; allowed: a number, above 0'),
    (['--config=good.py', '--config.train.lr=nan'], "config.train.lr = 'nan'; allowed: a number, above 0"),
    (['--config=good.py', '--config.train.steps'], '--config.train.steps has no value'),
    (['--config=good.py', '--wrokdir=x'], "Unknown command line flag 'wrokdir'"),
    (['--config=good.py', 'stray'], "'stray' is no flag"),
    (['--config=gone.py'], '--config=gone.py: there is no such file'),
    ([], 'name a config file'),
    (['--config=good.py', '--workdir=full'], 'disk full: free some'),
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


def test_what_was_given_of_the_config_is_told_as_it_was_written():
    argv = ['main', '--config=good.py', '--config.train.lr=1e-3', '--workdir=w', '--config.names=("a=b",)', '--config.train.steps']
    assert given(argv) == {'train.lr': '1e-3', 'names': '("a=b",)'}
