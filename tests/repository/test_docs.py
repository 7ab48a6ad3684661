"""Every command and Python snippet of README and docs/ runs, or is parsed by its own program; every link leads somewhere.

A command with a row in RUN runs, shrunk. Every other command is parsed by the program that it starts, up to its first real work: its flags
and keys must exist, and their values must be allowed; PARSED is the reason why it does not run. A new command without a row in one of
the tables is an error.
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest
import small
from snippets import anchors, commands, links, parse_flags, python_snippets, words

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(
    [ROOT / 'README.md', ROOT / 'ARCHITECTURE.md', *(ROOT / 'docs').glob('*.md'), *(ROOT / 'docs/results').glob('*.md'),
     *(ROOT / 'docs/api').glob('*.md'), *(ROOT / 'benchmarks/results').glob('*.md')])}
TASKS = ('data', 'laws', 'training', 'scoring', 'importing', 'transfer', 'scaling', 'extending')
COMMANDS = sorted({command for text in PAGES.values() for command in commands(text)})

SMALL = [f'--config.{key}={value}' for key, value in small.SMALL.items() if key != 'data.rendered_clips']
TRANSFER = ['--config.seeds=2', '--config.data.max_per_domain=60', '--config.train.min_steps=4', "--config.targets=('scan',)",
            "--config.transfer.methods=('target_only','uowq_static')", '--config.transfer.folds=2']
RUN = {  # the command, what shrinks it, a file that it leaves
    'python -m tqd_jax.main --config=configs/video.py --workdir=runs/mine --config.data.clips=FOLDER': (SMALL, 'runs/mine/report.html'),
    'python -m tqd_jax.score --clips=FOLDER --output=scores.parquet': (['--workers=0'], 'quality.html'),
    'python -m tqd_jax.score --clips=FOLDER --output=scores.parquet --scorers=brightness:Brightness':
        (['--workers=0', '--report=false'], 'scores.parquet'),
}
PARSED = (  # what a command has, why it does not run here
    (r'--mode=(eval|sample|align|learn)', 'it needs a trained run; tests/tqd_jax/jobs run each mode'),
    (r'tqd_jax\.main .*(init_from|law\.kind|law\.base|train\.steps|data\.mix|data\.buckets|clips=web)',
     'the run above with other values, each of which tests/tqd_jax/jobs run'),
    (r'tqd_jax\.main .*--config=configs/(video|pretrain)\.py', 'a longer form of the run above'),
    (r'tqd_jax\.score$|--clips=\.\.\.', 'a name in a sentence'),
    (r'tqd_jax\.score .*(--beam|--scores)', 'it needs Apache Beam, or files of other tools; tests/tqd_jax/scoring run both'),
    (r'transfer_jax\.main', 'the notebook test runs the job; the others need data that are not in the repository'),
    (r'benchmarks\.', 'it takes minutes to hours, and some of it data or packages that are not here; tests/benchmarks run each study small'),
    (r'tqd_jax\.(models|scoring)\.', 'a tool for files that are not here; its own tests run it'),
    (r'^make|^pip|venv|pytest|file_list|mkdocs', 'it sets up an environment, or runs all tests'),
)
NEVER = ('python -m benchmarks.transfer runs/digits4 runs/office_caltech runs/pacs',)  # no flags to parse: it reads finished runs


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
    """A folder with everything that commands and snippets name: configs, and a folder of clips."""
    path = tmp_path_factory.mktemp('docs')
    (path / 'configs').symlink_to(ROOT / 'configs')
    small.moving(path / 'FOLDER', [f'{number}.mp4' for number in range(8)])
    return path


def run(program, folder, arguments):
    """The output of python ARGUMENTS in the folder."""
    environment = {**program.environment, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(folder)])}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('page', [page for page, text in PAGES.items() if python_snippets(text) and not page.startswith('docs/api/')])
def test_python_runs(page, folder, monkeypatch):
    if page == 'docs/transfer.md':
        pytest.skip('its names are those of a notebook: test_notebook runs it, and holds that page and notebook have the same code')
    monkeypatch.chdir(folder)
    if page == 'docs/importing.md':
        write_scores_of_tools(folder)
    names = {}
    for code in python_snippets(PAGES[page]):
        exec(compile(code, page, 'exec'), names)


def write_scores_of_tools(folder):
    """The files that docs/importing.md reads."""
    for name, text in {'metadata/motion_score.jsonl': '{"video_path": "a.mp4", "motion_score": 1.5}\n',
                       'dover_predictions/demo.csv': 'path,technical score,aesthetic score\na.mp4,0.5,0.25\n'}.items():
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
        elif (started := module_of(word_list)) and started[0] not in ('venv', 'pytest', 'mkdocs') and command not in NEVER:
            try:
                parse_flags(*started)
            except ModuleNotFoundError as error:
                assert started[0].startswith('benchmarks.')
                pytest.skip(f'{error.name} is of an extra that is not installed')


@pytest.mark.parametrize('wrong', ['tqd_jax.main --config=configs/video.py --config.train.stpes=5', 'tqd_jax.score --clisp=FOLDER',
                                   'tqd_jax.main --config=configs/video.py --config.train.steps=0', 'benchmarks.fisher --cycles 5',
                                   'benchmarks.studies --config=configs/study_table.py --config.seeds=many', 'tqd_jax.score FOLDER'])
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
    for extra in re.findall(r'[\w]+', ''.join(re.findall(r'\[(.*)\]', requirement))):
        assert f"        '{extra}': [" in setup, extra


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    for link in links(PAGES[page]):
        path, _, anchor = link.partition('#')
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f'{page}: there is no {link}'
        assert not anchor or anchor in anchors(target.read_text()), f'{page}: there is no {link}'


@pytest.mark.parametrize('page', ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', *(f'docs/{name}.md' for name in TASKS)])
def test_files_and_functions_are_where_a_page_says(page):
    for path, name in re.findall(r'`((?:\w+/)+\w+\.py)(?:: (\w+))?', (ROOT / page).read_text()):
        files = [file for file in (ROOT / path, ROOT / 'tqd_jax' / path, ROOT / 'transfer_jax' / path) if file.exists()]
        assert files or 'NAME' in path, f'{page}: there is no {path}'
        assert not name or re.search(rf'^(def|class) {name}\b|^{name} =', ''.join(file.read_text() for file in files), re.MULTILINE), \
            f'{page}: {path} has no {name}'


def test_the_new_names_of_modules_exist():
    for new in re.findall(r'^\| `[\w.{}, ]+` \| `((?:tqd_jax|transfer_jax|benchmarks)\.[\w.*]+)` \|$', (ROOT / 'CHANGELOG.md').read_text(),
                          re.MULTILINE):
        path = ROOT.joinpath(*new.removesuffix('.*').split('.'))
        assert path.is_dir() or path.with_suffix('.py').exists(), new


def test_the_list_of_files_is_current():
    sys.path.insert(0, str(ROOT / 'docs'))
    try:
        import file_list
    finally:
        sys.path.remove(str(ROOT / 'docs'))
    assert (ROOT / file_list.PAGE).read_text() == file_list.page(), 'make files writes it'


def test_the_site_has_no_broken_link(tmp_path):
    pytest.importorskip('material', reason='the extra [docs] is not installed')
    done = subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', f'--site-dir={tmp_path}'], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'}, timeout=300)
    assert done.returncode == 0, done.stderr
    assert 'Every command' not in done.stdout and (tmp_path / 'index.html').exists()


def test_readme_is_short():
    assert len(PAGES['README.md'].splitlines()) <= 130
