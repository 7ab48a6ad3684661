"""python -m tqd_jax.encode as two processes with two devices each: they share the clips, and leave the cache of one process."""
import pytest
import wan_runs
import wan_small
from processes import ends, start


@pytest.mark.processes
def test_two_processes_leave_the_cache_of_one(tmp_path, compiled):
    given = {'wan.path': wan_small.write_folder(tmp_path / 'wan'), 'data.clips': wan_runs.clips(tmp_path / 'clips', 5)}
    one, two = wan_runs.encoded(tmp_path / 'one', **given), tmp_path / 'two'
    results = ends(start(wan_small.command_line('encode', f'--output={two}', **given)))
    assert [code for code, _, _ in results] == [0, 0] and f'encoded: {two}' in results[0][1], results
    assert wan_runs.records(two) == wan_runs.records(one)
    assert (two / 'scores.parquet').read_bytes() == (one / 'scores.parquet').read_bytes()
