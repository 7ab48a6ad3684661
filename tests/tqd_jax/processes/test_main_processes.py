"""The main job as two processes with two devices each: the run of one process with four, whatever signal comes to whom and when."""
import json
import signal
from unittest import mock

import jax
import numpy as np
import pytest
import small
from phases import signalled
from processes import ROOT, ends, start

from transfer_jax.runtime.metrics import read_metrics
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.saves.checkpoint import Checkpoints

CHANGES = {'mesh.fsdp': 2, 'train.steps': 24, 'checkpoint.every': 14, 'eval.every': 8, 'log_every': 1, 'sample.clips': 1,
           'sample.steps': 1}
STOPS = [{0: 'score'}, {1: 'compile'}, {0: 'step'}, {0: 'evaluate', 1: 'evaluate'}, {1: 'save'}]


def job(library, workdir):
    """The command of a run, its module first."""
    return ['tqd_jax.main', *small.command_line(workdir, **{'data.clips': library, **CHANGES})]


def run_alone(library, workdir):
    """The run in this process, on four of its devices."""
    four = lambda *sizes: make_mesh(*sizes, devices=jax.devices()[:4])
    with mock.patch.object(small, 'one_device', lambda: mock.patch('tqd_jax.training.run.make_mesh', four)):
        small.run(workdir, **{'data.clips': library, **CHANGES})


@pytest.fixture(scope='module')
def alone(library, tmp_path_factory, compiled):
    """The work directory of a run of one process with four devices."""
    workdir = tmp_path_factory.mktemp('alone')
    run_alone(library, workdir)
    return workdir


def same_run(workdir, alone):
    """Asserts the same t to the last bit, losses to rounding, and the files of a finished run."""
    np.testing.assert_array_equal(np.load(workdir / 'drawn.npz')['counts'], np.load(alone / 'drawn.npz')['counts'])
    for name in ('metrics.jsonl', 'evaluation.jsonl'):
        found, wanted = read_metrics(workdir / name), read_metrics(alone / name)
        assert [line['step'] for line in found] == [line['step'] for line in wanted]
        np.testing.assert_allclose(losses(found), losses(wanted), rtol=1e-5)
    assert (workdir / 'scores.parquet').read_bytes() == (alone / 'scores.parquet').read_bytes()
    facts = [json.loads((path / 'summary.json').read_text())['steps'] for path in (workdir, alone)]
    assert facts[0] == facts[1] and (workdir / 'report.html').is_file() and (workdir / 'samples/sheet.png').is_file()
    weights = [np.load(path / 'weights.npz') for path in (workdir, alone)]
    for name in weights[0].files:
        np.testing.assert_allclose(weights[0][name], weights[1][name], atol=1e-5)


def losses(lines):
    return np.array([np.ravel(line['loss']).astype(float) for line in lines if 'loss' in line], float)


@pytest.mark.processes
def test_signals_stop_both_at_one_step_and_the_run_ends_as_that_of_one_process(library, alone, tmp_path, capsys):
    helpers, newest = ROOT / 'tests/helpers/joined', lambda: Checkpoints(tmp_path / 'checkpoints').latest()
    again = [str(helpers / 'stops.py'), json.dumps(STOPS)]
    results = ends(start(job(library, tmp_path), wrappers={0: again, 1: again}))
    assert [code for code, _, _ in results] == [0, 0], results
    saved = [line.removeprefix('saved: ') for line in results[0][1].splitlines() if line.startswith('saved: ')]
    said = [line for line in results[0][1].splitlines() if line.startswith('stopped ')]
    assert len(said) == len(saved) == len(STOPS) and saved[0] == 'None', results
    steps = [0 if step == 'None' else int(step) for step in saved]  # a stop while compiling may come before the first step
    assert (np.diff(steps[1:]) > 0).all() and steps[-3] < CHANGES['eval.every'] <= steps[-2] < CHANGES['checkpoint.every'] <= steps[-1]
    kill = [str(helpers / 'phases.py'), str(int(signal.SIGKILL)), 'step', '2']
    codes = [code for code, _, _ in ends(start(job(library, tmp_path), wrappers={1: kill}))]
    assert codes[1] == -signal.SIGKILL and codes[0] != 0 and newest() == steps[-1]
    with signalled(signal.SIGTERM, 'step', 1):
        run_alone(library, tmp_path)
    out = capsys.readouterr().out
    assert f'resuming from step {steps[-1]}' in out and 'stopped and saved' in out and newest() == steps[-1] + 1
    (codes, outs, _) = zip(*ends(start(job(library, tmp_path))), strict=True)
    assert codes == (0, 0) and 'report:' in outs[0]
    spoken, other = ({line for line in out.splitlines() if line and 'Gloo' not in line} for out in outs)  # Gloo's threads mix their lines
    assert spoken and not spoken & other, 'one of them speaks'
    same_run(tmp_path, alone)
