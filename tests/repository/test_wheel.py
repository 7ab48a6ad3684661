"""What a wheel holds: both packages whole with their assets, and no study, benchmark, config or test."""
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = ('tqd_jax', 'transfer_jax')
BUILD = 'import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The names of the files in a wheel that is built from a copy of the repository, without isolation."""
    folder = tmp_path_factory.mktemp('source')
    for name in (*PACKAGES, 'benchmarks', 'configs', 'tests'):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run([sys.executable, '-c', BUILD, 'out'], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next((folder / 'out').glob('*.whl'))) as file:
        return set(file.namelist())


def test_it_holds_the_two_packages_and_nothing_else(wheel):
    roots = {name.split('/')[0] for name in wheel if '.dist-info/' not in name}
    assert roots == set(PACKAGES)
    assert not [name for name in wheel for word in ('benchmarks', 'studies', 'study', 'configs', 'tests') if word in name.split('/')]


@pytest.mark.parametrize('package', PACKAGES)
def test_it_holds_every_module_and_asset_of_a_package(wheel, package):
    files = [path for path in (ROOT / package).rglob('*') if path.is_file() and '__pycache__' not in path.parts]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    assert expected - wheel == set() and any(not name.endswith('.py') for name in expected)
