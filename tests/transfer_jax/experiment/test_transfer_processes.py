"""The transfer job as two processes: each trains a target, is stopped in the middle, and the first writes what one would have written."""
import signal

import numpy as np
import pytest
import transfer_job
from processes import ROOT, ends, start
from test_transfer_resume import timeless

CHANGES = {'targets': "('a','b')", 'transfer.methods': "('target_only','uowq')", 'train.min_steps': 80, 'train.segment': 10,
           'checkpoint.seconds': 0}


@pytest.mark.long
def test_two_processes_take_targets_in_turn_and_go_on_after_a_stop(tmp_path, compiled):
    np.savez(tmp_path / 'data.npz', **transfer_job.table())
    changes = {'data.path': tmp_path / 'data.npz', **CHANGES}
    transfer_job.run(tmp_path / 'alone', **changes)
    job = lambda folder: ['transfer_jax.main', *transfer_job.command_line(folder, **changes)]
    signalled = [str(ROOT / 'tests/helpers/signalled.py'), str(int(signal.SIGTERM)), str(tmp_path / 'two/targets/b/logs/uowq'), '50']
    results = ends(start(job(tmp_path / 'two'), devices=1, wrappers={1: signalled}))
    assert [code for code, _, _ in results] == [0, 0] and 'stopped and saved' in results[0][1], results
    assert (tmp_path / 'two/targets/b/uowq.unfinished/50').is_dir() and not (tmp_path / 'two/results.json').exists()
    results = ends(start(job(tmp_path / 'two'), devices=1))
    assert [code for code, _, _ in results] == [0, 0], results
    one, two = (timeless(transfer_job.results(tmp_path / folder)['targets']) for folder in ('alone', 'two'))
    one_file, two_file = (tmp_path / folder / 'predictions.parquet' for folder in ('alone', 'two'))
    assert one_file.read_bytes() == two_file.read_bytes()
    assert one == two and (tmp_path / 'two/report.html').is_file()
    assert not list((tmp_path / 'two').rglob('*.unfinished'))
