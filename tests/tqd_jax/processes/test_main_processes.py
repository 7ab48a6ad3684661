"""The main job as two processes with two devices each: the run of one process with four, whatever signal comes to whom and when."""
import json
import signal

import numpy as np
import pytest
import small
from processes import ROOT, ends, start

from transfer_jax.runtime.checkpoint import Checkpoints
from transfer_jax.runtime.metrics import read_metrics

CHANGES = {'mesh.fsdp': 2, 'train.steps': 28, 'checkpoint.every': 20, 'eval.every': 14, 'log_every': 1, 'sample.clips': 1,
           'sample.steps': 1}
PHASES = str(ROOT / 'tests/helpers/joined/phases.py')


def job(library, workdir, **changes):
    """The command of a run, its module first."""
    return ['tqd_jax.main', *small.command_line(workdir, **{'data.clips': library, **CHANGES, **changes})]


def sent(number, phase, count=1):
    """What stands before the module, so that a process gets a signal in a phase."""
    return [PHASES, str(int(number)), phase, str(count)]


@pytest.fixture(scope='module')
def alone(library, tmp_path_factory):
    """The work directory of a run of one process with four devices."""
    workdir = tmp_path_factory.mktemp('alone')
    (code, _, err), = ends(start(job(library, workdir), processes=1, devices=4))
    assert code == 0, err
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
@pytest.mark.timeout(1500)  # six starts of two processes
def test_signals_stop_both_at_one_step_and_the_run_ends_as_that_of_one_process(library, alone, tmp_path):
    term, kill = signal.SIGTERM, signal.SIGKILL
    stops = [{0: sent(term, 'score')}, {1: sent(term, 'compile')}, {0: sent(term, 'evaluate'), 1: sent(term, 'evaluate')},
             {1: sent(term, 'save')}]
    steps = [0]
    for wrappers in stops:
        results = ends(start(job(library, tmp_path), wrappers=wrappers))
        assert [code for code, _, _ in results] == [0, 0] and 'stopped and saved' in results[0][1], results
        steps.append(Checkpoints(tmp_path / 'checkpoints').latest() or 0)
    assert steps[1] == 0 and steps == sorted(steps) and len(set(steps[1:])) == len(stops), steps
    codes = [code for code, _, _ in ends(start(job(library, tmp_path), wrappers={1: sent(kill, 'step', 2)}))]
    assert codes[1] == -kill and codes[0] != 0 and Checkpoints(tmp_path / 'checkpoints').latest() == steps[-1]
    (code, out, err), = ends(start(job(library, tmp_path), processes=1, devices=4, wrappers={0: sent(term, 'step')}))
    assert code == 0 and f'resuming from step {steps[-1]}' in out and 'stopped and saved' in out, err
    (codes, outs, _) = zip(*ends(start(job(library, tmp_path))), strict=True)
    assert codes == (0, 0) and 'report:' in outs[0]
    assert all(line.startswith('[Gloo]') for line in outs[1].splitlines()), 'one of them speaks'
    same_run(tmp_path, alone)
