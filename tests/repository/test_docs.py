"""Every command and Python snippet of README and docs/ runs, or its own program parses it.

A command with a row in RUN runs, shrunk. Every other command is parsed by the program that it starts, up to its first real
work: its flags and keys must exist, and their values must be allowed; PARSED is the reason why it does not run. A new command
without a row in one of the tables is an error.
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest
import quick
import small
import tiny_runs
from pages import PAGES, ROOT
from snippets import commands, parse_flags, python_snippets, words

COMMANDS = sorted({command for text in PAGES.values() for command in commands(text)})

MAIN = 'python -m tqd_jax.main --config=configs/video.py --workdir=runs/mine --config.data.clips=FOLDER'
SCORE = 'python -m tqd_jax.score --clips=FOLDER --output=scores.parquet'
SMALL = [f'--config.{key}={value}' for key, value in {**tiny_runs.SMALL, 'compare': None}.items() if key != 'data.rendered_clips']
RUN = {  # the command, what shrinks it, a file that it leaves
    MAIN: (SMALL, 'runs/mine/report.html'),
    SCORE: (['--workers=0'], 'quality.html'),
    'python -m tqd_jax.launch --config=configs/launch.py --output=launch': ([], 'launch/slice.sh'),
    f'{SCORE} --scorers=brightness:Brightness': (['--workers=0', '--report=false'], 'scores.parquet'),
}
PARSED = (  # what a command has, why it does not run here
    (r'tqd_jax\.main .*wan\.path=runs', 'it needs a run that was exported; tests/tqd_jax/shipped go on from one'),
    (r'tqd_jax\.(main|encode) .*wan\.path|tqd_jax\.export',
     'it needs published weights; test_wan_notebook and tests/tqd_jax/jobs run it on tiny ones'),
    (r'tqd_jax\.plan', 'it compiles for minutes, for TPUs by libtpu; tests/tqd_jax/planning plan a small config'),
    (r'tqd_jax\.launch .*(place|program)=', 'the run above for another place; tests/tqd_jax/launching hold its files'),
    (r'configs/pixels', 'it is the job on pixels, which tests/tqd_jax/jobs run'),
    (r'workdir=DISK', 'it is of several hosts; tests/tqd_jax/processes run two'),
    (r'workdir=gs://', 'it needs a bucket; tests/tqd_jax/stores run it on a stand-in'),
    (r'tqd_jax\.main .*--mode=(eval|sample|align|learn)', 'it needs a trained run; tests/tqd_jax/jobs run each mode'),
    (r'tqd_jax\.main .*(init_from|law\.kind|law\.base|train\.steps|data\.mix|data\.buckets|clips=web|profile\.steps|compare)',
     'the run above with other values, which tests/tqd_jax/jobs try'),
    (r'tqd_jax\.(score|encode)$|--clips=\.\.\.', 'a name in a sentence'),
    (r'importers\.cut', 'it needs whole videos and a table of cutting times; tests/tqd_jax/scoring/importers/test_cut.py runs it'),
    (r'tqd_jax\.score --clips=FOLDER$', 'the run above without its output'),
    (r'tqd_jax\.score .*(--beam|--scores)', 'it needs Apache Beam, or files of other tools; tests/tqd_jax/scoring run both'),
    (r'transfer_jax\.main', 'test_notebook runs the job; most of these need data that are not in the repository'),
    (r'benchmarks\.', 'minutes to hours, some with data or packages that are not here; tests/benchmarks run studies, small'),
    (r'^make|^pip|venv', 'it sets up an environment, or runs all tests'),
)
ELSEWHERE = {  # pages whose Python another test runs
    'docs/transfer.md': 'it continues a notebook, which test_notebook runs; that test holds that both have the same code',
    'docs/api/': 'test_api runs it, and compares what it prints',
}
WITHOUT_FLAGS = ('benchmarks.transfer', 'benchmarks.linear', 'benchmarks.linear.sentiment', 'benchmarks.policies.mixtures',
                 'venv', 'tqd_jax.scoring.importers.cut')  # they take folders
NAMES = ('python -m tqd_jax.encode', 'python -m tqd_jax.plan')  # in sentences: the program wants a config


def reason(command):
    """Why a command is parsed only."""
    return next((why for pattern, why in PARSED if re.search(pattern, command)), None)


def module_of(word_list):
    """(module, arguments) of a command that starts one, else None."""
    if word_list[1:2] == ['-m'] and pathlib.Path(word_list[0]).name.startswith('python'):
        return word_list[2], word_list[3:]
    return None


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with what commands and snippets name: configs, and a folder of clips."""
    path = tmp_path_factory.mktemp('docs')
    (path / 'configs').symlink_to(ROOT / 'configs')
    small.moving(path / 'FOLDER', [f'{number}.mp4' for number in range(8)], seconds=2.0, fps=12)
    return path


def run(program, folder, arguments):
    """Runs python ARGUMENTS in the folder; its fault is the test's."""
    environment = {**program.environment, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(folder)]), 'XLA_FLAGS': quick.XLA_FLAGS}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('page', [page for page, text in PAGES.items()
                                  if python_snippets(text) and not page.startswith(tuple(ELSEWHERE))])
def test_python_runs(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    if page == 'docs/importing.md':
        write_scores_of_tools(folder)
    names = {}
    for code in python_snippets(PAGES[page]):
        exec(compile(code, page, 'exec'), names)


def write_scores_of_tools(folder):
    """The files that docs/importing.md reads."""
    files = {'metadata/motion_score.jsonl': '{"video_path": "a.mp4", "motion_score": 1.5}\n',
             'dover_predictions/demo.csv': 'path,technical score,aesthetic score\na.mp4,0.5,0.25\n'}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_commands_run(folder, program, monkeypatch):
    """In the order of the table; the scorer is the one that docs/extending.md writes."""
    monkeypatch.chdir(folder)
    scorer, = [code for code in python_snippets(PAGES['docs/extending.md']) if 'brightness.py' in code]
    exec(compile(scorer, 'docs/extending.md', 'exec'), {})
    for command, (shrinking, left) in RUN.items():
        assert command in COMMANDS, f'{command} is on no page any more: take it out of RUN'
        run(program, folder, [*words(command)[0][1:], *shrinking])
        assert (folder / left).stat().st_size, command


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')  # how ml_collections reads a config file
def test_a_command_is_right(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert command in RUN or reason(command), f'{command}: give it a row in RUN, or a reason in PARSED'
    for word_list in words(command):
        if word_list[0] == 'make':
            assert_make(word_list[1:])
        elif word_list[0].endswith('pip'):
            assert_extras(word_list[-1])
        elif command not in NAMES and (started := module_of(word_list)) and started[0] not in WITHOUT_FLAGS:
            try:
                parse_flags(*started)
            except ModuleNotFoundError as error:
                assert started[0].startswith('benchmarks.')
                pytest.skip(f'{error.name} is of an extra that is not installed')


@pytest.mark.parametrize('wrong', [
    'tqd_jax.main --config=configs/video.py --config.train.stpes=5', 'tqd_jax.score FOLDER', 'tqd_jax.score --clisp=FOLDER',
    'tqd_jax.main --config=configs/video.py --config.train.steps=0', 'benchmarks.fisher --cycles 5',
    'benchmarks.studies --config=configs/studies/table.py --config.seeds=many'])
@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
def test_a_wrong_command_is_seen(wrong, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError):
        parse_flags(*module_of(['python', '-m', *wrong.split()]))


def assert_make(arguments):
    """Every target is one of the Makefile's, every variable too."""
    makefile = (ROOT / 'Makefile').read_text()
    for word in arguments:
        name, is_variable, _ = word.partition('=')
        assert re.search(rf'^{name} \?=' if is_variable else rf'^{name}:', makefile, re.MULTILINE), word


def assert_extras(requirement):
    """Every extra is one of setup.py's."""
    setup = (ROOT / 'setup.py').read_text()
    for extra in re.findall(r'\w+', ''.join(re.findall(r'\[(.*)\]', requirement))):
        assert f"        '{extra}': [" in setup, extra
