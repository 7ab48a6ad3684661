"""A killed command's files are undone by the next one: those that it replaced, and those that it added."""
from unittest import mock

import pytest

from transfer_jax.runtime.folder import unchanged

NAMES = 'table', 'list', 'record'


def test_the_next_command_puts_back_what_was_and_removes_what_a_killed_one_added(tmp_path):
    (tmp_path / 'table').write_text('old')
    killed = mock.patch.object(unchanged, 'restore')
    with killed, pytest.raises(KeyboardInterrupt), unchanged.unchanged_on_error(tmp_path, NAMES, 'list'):
        for name in ('table', 'record'):
            (tmp_path / f'{name}.part').write_text('new')
            (tmp_path / f'{name}.part').replace(tmp_path / name)
        raise KeyboardInterrupt
    assert (tmp_path / 'record').exists() and (tmp_path / '.before').exists()
    with unchanged.unchanged_on_error(tmp_path, NAMES, 'list'):
        assert (tmp_path / 'table').read_text() == 'old' and not (tmp_path / 'record').exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['table']
