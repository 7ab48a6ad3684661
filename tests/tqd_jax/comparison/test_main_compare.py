"""The second run of config.compare is the run that its law would have been alone, to the bit, whatever stops it; nothing is made twice."""
import dataclasses
import json
import shutil
import signal
from unittest import mock

import numpy as np
import phases
import pytest
import small

from tqd_jax.clips.read import read_clip
from tqd_jax.config import check_whole, compared_law
from tqd_jax.data import prepare
from tqd_jax.training.evaluation import motion_and_visual
from tqd_jax.training.sampling import samples
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints

STEPS = 12
SECOND = 'compare/uniform'


def changes(library, **more):
    return {'data.clips': library, 'train.steps': STEPS, 'sample.clips': 3, 'compare': 'uniform', **more}


@pytest.fixture(scope='module')
def compared(library, tmp_path_factory, compiled):
    """(the work directory of a run that was compared, how often clips were scored)."""
    workdir = tmp_path_factory.mktemp('compared')
    with mock.patch.object(prepare, 'score_library', side_effect=prepare.score_library) as scored:
        small.run(workdir, **changes(library))
    return workdir, scored.call_count


@pytest.fixture(scope='module')
def uniform(library, tmp_path_factory, compiled):
    """The work directory of a run by the uniform law, by itself."""
    workdir = tmp_path_factory.mktemp('uniform')
    small.run(workdir, **changes(library, **{'law.kind': 'uniform', 'compare': None}))
    return workdir


def arrays(workdir, library, folder='.'):
    """(step, {name: array}) of the newest checkpoint of a folder of the work directory."""
    with mock.patch.object(small, 'path_of', lambda path: path / folder):
        return small.saved(workdir, **changes(library))


def same_files(one, other):
    """Asserts that two compared folders have the same second run, its samples and its record among them."""
    clips = (f'samples/{column}/{number:02d}.mp4' for column in ('start', 'second', 'run') for number in range(3))
    for name in ('comparison.json', *clips):
        assert (one / SECOND / name).read_bytes() == (other / SECOND / name).read_bytes(), name


def test_the_second_run_is_that_of_the_other_law_alone(compared, uniform, library):
    workdir = compared[0]
    (step, found), (wanted_step, wanted) = arrays(workdir, library, SECOND), arrays(uniform, library)
    assert step == wanted_step == STEPS and found.keys() == wanted.keys()
    assert not [name for name in found if not np.array_equal(found[name], wanted[name])]
    own = arrays(workdir, library)[1]
    assert [name for name in found if name.startswith('average/') and not np.array_equal(found[name], own[name])], 'the laws are the same'
    np.testing.assert_array_equal(*(np.load(path / 'drawn.npz')['counts'] for path in (workdir / SECOND, uniform)))
    for number in range(3):
        name = f'{number:02d}.mp4'
        assert (workdir / SECOND / 'samples/second' / name).read_bytes() == (uniform / 'samples' / name).read_bytes()
        assert (workdir / SECOND / 'samples/run' / name).read_bytes() == (workdir / 'samples' / name).read_bytes()


def test_the_record_has_the_measures_of_all_samples(compared, uniform):
    workdir = compared[0]
    record, own, others = (json.loads((path / name).read_text()) for path, name in (
        (workdir / SECOND, 'comparison.json'), (workdir, 'samples.json'), (uniform, 'samples.json')))
    assert record['run'] == own['samples'] and record['second'] == others['samples'] and record['data'] == own['data']
    assert record['captions'] == own['captions'] == others['captions'] and record['steps'] == STEPS
    files = [read_clip(workdir / SECOND / f'samples/start/{number:02d}.mp4', rate=8).frames for number in range(3)]
    again = motion_and_visual([frames[:, 5::10, 5::10] for frames in files], 8)  # of 16 pixels, enlarged to 160
    np.testing.assert_allclose(record['start']['visual'], again['visual'], atol=0.02)


def test_nothing_is_scored_or_evaluated_twice_and_the_page_shows_both(compared):
    workdir, scored = compared
    assert scored == 1 and {path.name for path in (workdir / SECOND).iterdir()} == {
        'checkpoints', 'metrics.jsonl', 'tensorboard', 'drawn.npz', 'samples', 'comparison.json'}
    page = (workdir / 'report.html').read_text()
    assert page.count('aria-label="before training, uniform, TQD: ') == 3 and 'What the timestep law did to this run' in page
    assert not [path for path in workdir.rglob('*') if path.name.endswith(('.part', '.tmp'))]


def test_a_compared_run_is_finished_and_a_finished_one_can_be_compared(compared, library, tmp_path, capsys):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    left = {path: path.stat().st_mtime_ns for path in workdir.rglob('*') if path.is_file()}
    small.run(workdir, **changes(library))
    assert f'holds a finished run of {STEPS} steps' in capsys.readouterr().out
    assert left == {path: path.stat().st_mtime_ns for path in workdir.rglob('*') if path.is_file()}
    shutil.rmtree(workdir / 'compare')
    weights = (workdir / 'weights.npz').stat().st_mtime_ns
    small.run(workdir, **changes(library))
    out = capsys.readouterr().out
    assert 'second run, by the uniform law, to compare with: 12 steps' in out and 'Motion of TQD and uniform' in out
    assert (workdir / 'weights.npz').stat().st_mtime_ns == weights, 'the run itself was made again'
    same_files(workdir, compared[0])


def test_without_compare_there_is_no_second_run(uniform):
    assert not (uniform / 'compare').exists() and 'What the timestep law did' not in (uniform / 'report.html').read_text()


def test_a_law_is_not_compared_with_itself(library, tmp_path):
    small.run(tmp_path, **changes(library, **{'law.kind': 'uniform', 'train.steps': 1}))
    assert not (tmp_path / 'compare').exists() and (tmp_path / 'report.html').exists()


def test_killed_in_its_second_run_it_ends_bit_for_bit_as_if_it_had_not_been(program, compared, library, tmp_path):
    code, _, err = program(tmp_path, signalled=(signal.SIGKILL, tmp_path / SECOND, 6), **changes(library))
    assert code == -signal.SIGKILL and Checkpoints(tmp_path / SECOND / 'checkpoints').latest() == 4, err
    assert 'is not done yet' in (tmp_path / 'report.html').read_text()
    small.run(tmp_path, **changes(library))
    (_, found), (_, wanted) = arrays(tmp_path, library, SECOND), arrays(compared[0], library, SECOND)
    assert not [name for name in wanted if not np.array_equal(found[name], wanted[name])]
    assert small.scalars(tmp_path / SECOND) == small.scalars(compared[0] / SECOND)
    same_files(tmp_path, compared[0])


@pytest.mark.parametrize(('phase', 'count'), [('step', 3), ('sample', 1)])
def test_a_stop_in_the_second_run_keeps_it_and_the_same_command_goes_on(compared, library, tmp_path, capsys, phase, count):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    shutil.rmtree(workdir / 'compare')
    with phases.signalled(signal.SIGTERM, phase, count):
        small.run(workdir, **changes(library))
    assert 'stopped and saved' in capsys.readouterr().out and not (workdir / SECOND / 'comparison.json').exists()
    assert Checkpoints(workdir / SECOND / 'checkpoints').latest() >= 3
    small.run(workdir, **changes(library))
    assert 'resuming from step' in capsys.readouterr().out
    same_files(workdir, compared[0])


def test_other_settings_of_samples_draw_those_of_the_run_anew_too(compared, library, tmp_path):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    shutil.rmtree(workdir / 'compare')
    small.run(workdir, **changes(library, **{'sample.steps': 3, 'sample.clips': 2}))
    record, own = (json.loads((workdir / name).read_text()) for name in (f'{SECOND}/comparison.json', 'samples.json'))
    assert record['run'] == own['samples'] and len(record['second']['motion']) == 2 and own['settings']['steps'] == 3
    assert samples.settings_of(small.config(**changes(library))) != own['settings']


def test_a_longer_run_is_compared_at_its_end(compared, library, tmp_path):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    small.run(workdir, **changes(library, **{'train.steps': STEPS + 2}))
    assert json.loads((workdir / SECOND / 'comparison.json').read_text())['steps'] == STEPS + 2
    assert Checkpoints(workdir / SECOND / 'checkpoints').latest() == STEPS + 2
    assert 'is not done yet' not in (workdir / 'report.html').read_text()


def test_a_run_that_was_changed_is_not_compared_and_says_so(compared, library, tmp_path, capsys):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    changed = {'train.steps': STEPS + 2, 'train.learning_rate': 1e-4, 'data.allow_changes': True}
    small.run(workdir, **changes(library, **changed))
    assert json.loads((workdir / SECOND / 'comparison.json').read_text())['steps'] == STEPS
    line = f"no second run by config.compare = 'uniform': this run was changed on its way ({workdir / 'changes.jsonl'})"
    assert capsys.readouterr().out.count(line) == 1
    assert 'no second run can be the same but for the law' in (workdir / 'report.html').read_text()


def test_a_second_run_of_another_config_is_refused_before_anything_is_trained(compared, library, tmp_path):
    workdir = shutil.copytree(compared[0], tmp_path / 'run')
    shutil.rmtree(workdir / 'checkpoints')
    with pytest.raises(UserError, match=r'compare/uniform holds a run with another config \(seed: 0 -> 1\)'):
        small.run(workdir, **changes(library, seed=1))
    assert not (workdir / 'checkpoints').exists()


@pytest.mark.parametrize(('given', 'wanted'), [
    ({'law.kappa_max': 4.0, 'law.shift': 3.0}, {'kind': 'uniform', 'shift': 3.0}),
    ({'law.kind': 'offset', 'law.offset': 2.0, 'law.base': 'logit_normal', 'law.loc': 0.5, 'compare': 'min_noise'},
     {'kind': 'min_noise', 'base': 'logit_normal', 'loc': 0.5})])
def test_the_other_law_has_the_base_and_the_shift_and_not_what_it_does_not_read(given, wanted):
    config = small.config(**{'compare': 'uniform', **given})
    check_whole(config)
    second = compared_law(config)
    assert second == dataclasses.replace(type(second)(), **wanted)


@pytest.mark.parametrize(('given', 'words'), [
    ({'compare': 'none'}, "config.compare = 'none'; allowed: "), ({'compare': 'learned'}, "config.compare = 'learned'; allowed: "),
    ({'compare': 'beta', 'law.kind': 'exact_base', 'law.base': 'logit_normal'},
     "config.compare = 'beta', and a second run by that law has the other keys of config.law: config.law.kind = \"beta\" draws t itself")])
def test_nonsense_is_refused(given, words):
    with pytest.raises(UserError) as error:
        check_whole(small.config(**given))
    assert words in str(error.value) and '\n' not in str(error.value)
