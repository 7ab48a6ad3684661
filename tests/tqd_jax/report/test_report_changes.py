"""The table of what a run went on with says each change once, in the words that were printed."""
import types
from unittest import mock

from tqd_jax.report.changes import changes


def test_each_change_is_said_once():
    record = {'step': 4, 'clips': {'caption': 1}, 'summary': '1 clip has another caption (a.mp4)', 'config': ['train.steps: 4 -> 6']}
    page = mock.Mock()
    changes(page, types.SimpleNamespace(changes=[record]))
    page.table.assert_called_once_with([['from step 4', '1 clip has another caption (a.mp4); train.steps: 4 -> 6']], ['when', 'what'])
    page.reset_mock()
    changes(page, types.SimpleNamespace(changes=[]))
    assert not page.mock_calls
