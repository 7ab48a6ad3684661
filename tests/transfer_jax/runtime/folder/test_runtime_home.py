"""The home folder stands for ~ behind the = of a flag and in a config, and a folder that is called ~ is still reached."""
import dataclasses
import os
import pathlib

import pytest

from transfer_jax.runtime.app import _at_home
from transfer_jax.runtime.config import Rule, instance, key, optional, paths, section, text
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home, at_homes, local_path
from transfer_jax.runtime.paths import path_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path / 'me'))
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / 'me')


@pytest.mark.parametrize('text', ['~', '~/', '~/runs/x', '$HOME/runs/x', '${HOME}/a', '$HOME'])
def test_the_home_folder_is_put_where_a_shell_puts_it(home, text):
    rest = text.removeprefix('~').removeprefix('$HOME').removeprefix('${HOME}')
    assert at_home(text) == at_homes(text) == home + rest
    assert path_of(text) == local_path(text) == pathlib.Path(home + rest)


def test_the_home_of_another_user(home):
    assert at_home('~root/x') == os.path.expanduser('~root/x') != '~root/x'


@pytest.mark.parametrize('text', ['runs/~/x', './~', './~/x', '/a/~', 'gs://b/~/x', 's3://b/$HOME', 'a~', '$HOMEX/a', '$OTHER/x',
                                  'file:///a', ''])
def test_other_texts_stay(home, text):
    assert at_home(text) == at_homes(text) == text


def test_each_path_of_several_is_put_home(home):
    assert at_homes('a=~/x,b=~/y,c=/z') == f'a={home}/x,b={home}/y,c=/z'
    assert at_homes('a=$HOME/x,b=gs://c/~') == f'a={home}/x,b=gs://c/~'
    assert at_homes('a=x,~/y') == 'a=x,~/y'  # one path that has a comma
    assert at_homes('module:factory=~/w') == f'module:factory={home}/w'


def test_a_folder_that_is_called_so_is_reached(home):
    pathlib.Path('~').mkdir()
    pathlib.Path('~/a').touch()
    assert path_of('./~/a').exists() and path_of(path_of('./~/a')).exists()
    assert str(path_of(os.fspath(path_of('./~')))) == str(pathlib.Path('~').absolute())
    assert (path_of('./~') / 'a').exists()


def test_a_user_who_is_not_there_is_an_error_and_a_file_of_that_name_is_none(home):
    with pytest.raises(UserError, match=r'^~nobody-here/x: there is no home folder ~nobody-here on this machine'):
        path_of('~nobody-here/x')
    pathlib.Path('~nobody-here').touch()
    assert path_of('~nobody-here').is_file()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Data."""
    clips: str | None = key(None, optional(paths()), 'clips')
    caption: str = key('', text(empty=True), 'text')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A config."""
    data: Data = section(Data)


def test_a_config_puts_paths_home_and_no_other_text(home):
    values = {'data': {'clips': 'a=~/x,b=$HOME/y', 'caption': '~ a wave'}}
    assert instance(Config, values).data == Data(clips=f'a={home}/x,b={home}/y', caption='~ a wave')
    assert not optional(text()).path and optional(paths()).path and not Rule(allowed='', accepts=bool).path
    with pytest.raises(UserError, match=r'^config\.data\.clips: ~nobody-here: there is no home folder'):
        instance(Config, {'data': {'clips': '~nobody-here', 'caption': ''}})


def test_the_config_file_too(home):
    assert _at_home('--config=~/c.py') == f'--config={home}/c.py' and _at_home('--mode=~') == '--mode=~'
