"""What both mains share: a full disk is one line, another config is refused by its keys, and the mode decides what runs."""
import dataclasses
import errno
import os
import platform

import jax
import pytest

from transfer_jax.runtime import job
from transfer_jax.runtime.config import integer, key, number, section, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.job import machine, machine_line, print_stop, require_same_config, run_mode


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """Devices."""
    data: int = key(1, integer(), 'along the batch')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All."""
    steps: int = key(5, integer(at_least=1), 'updates', free=True)
    lr: float = key(0.1, number(above=0), 'learning rate', renamed_from='speed')
    mesh: Mesh = section(Mesh, free=True)


def test_the_mode_decides_what_runs_in_a_folder_that_is_there(tmp_path):
    calls = []
    modes = {'a': lambda *arguments: calls.append(('a', *arguments)), 'b': lambda *arguments: calls.append(('b', *arguments))}
    run_mode(modes, 'b', 'config', str(tmp_path / 'x/y'))
    assert calls == [('b', 'config', tmp_path / 'x/y')] and (tmp_path / 'x/y').is_dir()


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST])
def test_a_disk_that_cannot_be_written_is_one_line_that_names_the_file(tmp_path, number):
    def full(config, folder):
        raise OSError(number, os.strerror(number), 'some/file')
    with pytest.raises(UserError) as error:
        run_mode({'a': full}, 'a', None, tmp_path)
    assert str(error.value) == (f'some/file cannot be written: {os.strerror(number)}; free space or name another --workdir '
                                '(or TMPDIR for temporary files); '
                                'the same command goes on where it was')


def test_other_errors_keep_their_traceback(tmp_path):
    def absent(config, folder):
        raise FileNotFoundError(errno.ENOENT, 'No such file', 'x')
    with pytest.raises(FileNotFoundError):
        run_mode({'a': absent}, 'a', None, tmp_path)


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file cannot be written: File exists'):
        run_mode({'a': print}, 'a', None, tmp_path / 'file')


def test_only_free_keys_may_differ_from_the_stored_config():
    old = to_json(Config())
    require_same_config('w', old, Config(steps=9, mesh=Mesh(data=8)))
    with pytest.raises(UserError) as error:
        require_same_config('w', old, Config(lr=0.2, steps=9))
    assert str(error.value) == ('w holds a run with another config (lr: 0.1 -> 0.2); use another --workdir, '
                                'or give its values again: --config.lr=0.1')
    with pytest.raises(UserError, match=r'\(steps: 5 -> 9\)'):
        require_same_config('w', old, Config(steps=9), fixed=('steps',))


def test_of_many_keys_all_values_are_given_and_the_rest_counted(monkeypatch):
    monkeypatch.setattr(job, 'SHOWN', 1)
    with pytest.raises(UserError, match=r'; and 1 more\)') as error:
        require_same_config('w', to_json(Config()), Config(lr=0.2, steps=9), fixed=('steps',))
    assert {'--config.lr=0.1', '--config.steps=5'} <= set(str(error.value).split())


def test_a_config_with_old_names_is_refused_by_these_names():
    old = to_json(Config())
    old['speed'] = old.pop('lr')
    with pytest.raises(UserError, match=r'w holds a run of an earlier version.*: speed is now lr; use another --workdir'):
        require_same_config('w', old, Config())


def test_the_machine_is_described_by_versions_and_devices():
    assert machine() == {'jax': jax.__version__, 'python': platform.python_version(), 'devices': '8 x cpu'}
    assert '8 x cpu, Python 3.' in machine_line() and machine_line().endswith(f'jax {jax.__version__}')


def test_a_stopped_job_says_how_it_goes_on(capsys):
    print_stop()
    print_stop(7)
    print_stop(0)
    print_stop(saved=False)
    assert capsys.readouterr().out == ('stopped and saved; the same command goes on from there\n'
                                       'stopped and saved at step 7; the same command goes on from there\n'
                                       'stopped before the first step; the same command begins with it\n'
                                       'stopped; the same command begins again\n')


def test_a_place_where_no_folder_can_be_is_named(tmp_path):
    with pytest.raises(UserError, match=f'^/proc/run cannot be made: {os.strerror(errno.ENOENT)}; name another --workdir$'):
        run_mode({}, 'train', None, '/proc/run')
