"""A killed command's files are undone by the next one: those that it replaced, and those that it added."""
from unittest import mock

import pytest

from transfer_jax.runtime.folder import unchanged
from transfer_jax.runtime.folder.lock import locked

NAMES = 'table', 'list', 'record'


def killed(folder):
    """A folder as a command leaves it that is killed when it has replaced a table and added a record."""
    (folder / 'table').write_text('old')
    stay = mock.patch.object(unchanged, 'restore')
    with stay, pytest.raises(KeyboardInterrupt), unchanged.unchanged_on_error(folder, NAMES, 'list'):
        for name in ('table', 'record'):
            (folder / f'{name}.part').write_text('new')
            (folder / f'{name}.part').replace(folder / name)
        raise KeyboardInterrupt
    assert (folder / 'record').exists() and (folder / '.before').exists()


def test_the_next_command_puts_back_what_was_and_removes_what_a_killed_one_added(tmp_path):
    killed(tmp_path)
    with unchanged.unchanged_on_error(tmp_path, NAMES, 'list'):
        assert (tmp_path / 'table').read_text() == 'old' and not (tmp_path / 'record').exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['table']


@pytest.mark.parametrize('held', [True, False])
def test_so_does_one_that_replaces_nothing(tmp_path, held):
    killed(tmp_path)
    unchanged.undo_killed(tmp_path, NAMES, held=held)
    assert (tmp_path / 'table').read_text() == 'old' and [path.name for path in tmp_path.iterdir()] == ['table']


def test_one_beside_a_running_job_leaves_its_files_alone(tmp_path):
    killed(tmp_path)
    with locked(tmp_path):
        unchanged.undo_killed(tmp_path, NAMES, held=False)
    assert (tmp_path / 'table').read_text() == 'new' and (tmp_path / '.before').exists()


def test_a_kill_after_the_end_brings_nothing_back(tmp_path):
    (tmp_path / 'table').write_text('old')
    with mock.patch.object(unchanged, 'remove_folder'), unchanged.unchanged_on_error(tmp_path, NAMES, 'list'):
        (tmp_path / 'table').unlink()
        (tmp_path / 'table').write_text('new')
    unchanged.undo_killed(tmp_path, NAMES, held=True)
    assert (tmp_path / 'table').read_text() == 'new' and [path.name for path in tmp_path.iterdir()] == ['table']
