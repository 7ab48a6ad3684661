"""A comparison by two processes with two devices each is that of one process with four."""
import json
from unittest import mock

import jax
import numpy as np
import pytest
import small
from processes import ends, start

from transfer_jax.runtime.metrics import read_metrics
from transfer_jax.runtime.parallel.mesh import make_mesh

CHANGES = {'mesh.fsdp': 2, 'sample.clips': 2, 'sample.steps': 1, 'log_every': 1, 'compare': 'uniform'}


@pytest.mark.processes
def test_two_processes_compare_as_one_does(library, tmp_path, compiled):
    changes = {'data.clips': library, **CHANGES}
    four = lambda *sizes: make_mesh(*sizes, devices=jax.devices()[:4])
    with mock.patch.object(small, 'one_device', lambda: mock.patch('tqd_jax.training.run.make_mesh', four)):
        small.run(tmp_path / 'one', **changes)
    results = ends(start(['tqd_jax.main', *small.command_line(tmp_path / 'two', **changes)]))
    assert [code for code, _, _ in results] == [0, 0], results
    assert sum(out.count('second run, by the uniform law') for _, out, _ in results) == 1
    one, two = (tmp_path / name / 'compare/uniform' for name in ('one', 'two'))
    np.testing.assert_array_equal(*(np.load(path / 'drawn.npz')['counts'] for path in (one, two)))
    losses = [[line['loss'] for line in read_metrics(path / 'metrics.jsonl') if 'loss' in line] for path in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    records = [json.loads((path / 'comparison.json').read_text()) for path in (one, two)]
    assert records[0].keys() == records[1].keys() and records[0]['captions'] == records[1]['captions']
    for column in ('start', 'second', 'run'):
        np.testing.assert_allclose(*(record[column]['visual'] for record in records), atol=0.02)
