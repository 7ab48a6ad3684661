"""Killed while latents or captions are encoded or while it trains, a run on published weights ends as one that nothing interrupted."""
import signal
import subprocess
import sys

import pytest
import small
import wan_runs
import wan_small
from alone import ENVIRONMENT
from wan_signalled import signalled, small_shards

from transfer_jax.runtime.saves.checkpoint import Checkpoints

pytestmark = pytest.mark.long  # a minute and a half

STEPS = 4
CAPTIONS = ('a red disc', 'the red disc ' * 25, 'the red disc ' * 60)  # of three widths, hence batches


@pytest.fixture(scope='module')
def given(tmp_path_factory, compiled):
    """The changes of a run of main alone, which encodes by itself: six clips, three captions."""
    folder = tmp_path_factory.mktemp('given')
    return {'wan.path': wan_small.write_folder(folder / 'wan'), 'data.clips': wan_runs.clips(folder / 'clips', 6, CAPTIONS),
            'data.held_out_fraction': 0.0, 'law.shift': 3.0, 'train.steps': STEPS, 'sample.clips': 1, 'sample.steps': 1}


@pytest.fixture(scope='module')
def start(program, given):
    """start(workdir, [script and its arguments]): (exit code, stdout, stderr) of the same command, as a process of its own."""
    def start(workdir, how):
        command = wan_small.command_line('main', f'--workdir={workdir}', **given)
        environment = {**program.environment, **ENVIRONMENT}
        done = subprocess.run([sys.executable, *map(str, how), *command], cwd=small.ROOT, env=environment, text=True, capture_output=True,
                              timeout=300)
        return done.returncode, done.stdout, done.stderr
    return start


@pytest.fixture(scope='module')
def straight(given, tmp_path_factory):
    """The work directory of a run that nothing interrupted."""
    return wan_runs.run(tmp_path_factory.mktemp('straight'), **given)


def test_killed_in_every_phase_it_ends_with_the_same_bits(start, given, straight, tmp_path, capsys):
    encoding, training = (small.ROOT / 'tests/helpers' / name for name in ('wan/wan_signalled.py', 'signalled.py'))
    phases = [([encoding, 9, 'latents', 5], (4, 0), None), ([encoding, 9, 'text', 3], (6, 2), None),
              ([training, 9, tmp_path, 3], (6, 5), 2)]  # what sends itself SIGKILL where, records then, newest checkpoint then
    whole = wan_runs.records(straight / 'cache')
    for how, count, step in phases:
        code, _, err = start(tmp_path, how)
        assert code == -signal.SIGKILL, err
        there = wan_runs.records(tmp_path / 'cache')
        assert tuple(map(len, there.values())) == count and all(there[kind].items() <= whole[kind].items() for kind in there)
        assert Checkpoints(tmp_path / 'checkpoints').latest() == step and not (tmp_path / 'report.html').exists()
    wan_runs.run(tmp_path, **given)
    out = capsys.readouterr().out
    assert 'resuming from step 2' in out and 'encoded' not in out
    assert wan_runs.records(tmp_path / 'cache') == whole
    (step, found), (wanted_step, wanted) = (wan_runs.saved(workdir, **given) for workdir in (tmp_path, straight))
    assert step == wanted_step == STEPS and not wan_runs.different(found, wanted)
    assert (tmp_path / 'lora.safetensors').read_bytes() == (straight / 'lora.safetensors').read_bytes()
    assert (tmp_path / 'evaluation.jsonl').read_text() == (straight / 'evaluation.jsonl').read_text()
    assert small.scalars(tmp_path) == small.scalars(straight)
    assert not [path for path in tmp_path.rglob('*') if path.name.endswith(('.part', '.tmp'))]


@pytest.mark.parametrize(('kind', 'count'), [('latents', 2), ('text', 2)])
def test_sigterm_while_encoding_stops_cleanly_says_so_and_goes_on(given, straight, tmp_path, capsys, kind, count):
    given = {key: value for key, value in given.items() if key not in ('train.steps', 'sample.clips', 'sample.steps')}
    with signalled(signal.SIGTERM, kind, count), small_shards():
        wan_runs.run(tmp_path / 'run', **given)
    out = capsys.readouterr().out
    assert 'stopped and saved; the same command goes on from there' in out
    assert not (tmp_path / 'run/checkpoints').exists() and 'compiled' not in out
    there = wan_runs.records(tmp_path / 'run/cache')
    assert count <= len(there[kind]) < {'latents': 6, 'text': 5}[kind]
    wan_runs.encoded(tmp_path / 'run/cache', **given)
    found, whole = wan_runs.records(tmp_path / 'run/cache'), wan_runs.records(straight / 'cache')
    assert all(there[kind].items() <= found[kind].items() and found[kind].keys() == whole[kind].keys() for kind in found)
