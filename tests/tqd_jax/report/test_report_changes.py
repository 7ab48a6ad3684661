"""The table of what a run went on with says each change once, in the words that were printed."""
import types
from unittest import mock

from tqd_jax.report.changes import changed


def test_each_change_is_said_once():
    record = {'step': 4, 'clips': {'caption': 1}, 'said': '1 clip has another caption (a.mp4)', 'config': ['train.steps: 4 -> 6']}
    page = mock.Mock()
    changed(page, types.SimpleNamespace(changes=[record]))
    page.table.assert_called_once_with([['from step 4', '1 clip has another caption (a.mp4); train.steps: 4 -> 6']], ['when', 'what'])
    page.reset_mock()
    changed(page, types.SimpleNamespace(changes=[]))
    assert not page.mock_calls
