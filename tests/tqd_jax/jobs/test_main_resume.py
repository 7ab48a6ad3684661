"""Killed, stopped or extended, a run ends as one that was never interrupted, bit for bit; what it cannot go on from is named."""
import json
import pathlib
import shutil
import signal

import numpy as np
import phases
import pyarrow.parquet
import pytest
import small

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints

STEPS = 24


def changes(library, **more):
    return {'data.clips': library, 'train.steps': STEPS, 'eval.every': 8, 'sample.clips': 1, 'sample.steps': 1, **more}


@pytest.fixture(scope='module')
def straight(library, tmp_path_factory, compiled):
    """The work directory of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('straight')
    small.run(workdir, **changes(library))
    return workdir


def same_end(workdir, straight, library):
    """Asserts that both ended with the same arrays; parameters, optimizer state and average are among them."""
    (step, found), (wanted_step, wanted) = small.saved(workdir, **changes(library)), small.saved(straight, **changes(library))
    assert step == wanted_step == STEPS and found.keys() == wanted.keys()
    assert {'trained', 'average', 'optimizer', 'step'} <= {name.split('/')[0] for name in found}
    different = [name for name in found if not np.array_equal(found[name], wanted[name])]
    assert not different
    assert any(found[name].any() for name in found if name.startswith('optimizer/'))


def test_killed_twice_it_ends_bit_for_bit_as_if_it_had_not_been(program, library, straight, tmp_path, capsys):
    for step, saved in (2, None), (10, 8):  # before the first checkpoint, and in the middle
        code, _, err = program(tmp_path, signalled=(signal.SIGKILL, tmp_path, step), **changes(library))
        assert code == -signal.SIGKILL and Checkpoints(tmp_path / 'checkpoints').latest() == saved, err
        assert (tmp_path / 'evaluation.jsonl').exists() and not (tmp_path / 'report.html').exists()
    for name in ('metrics.jsonl', 'evaluation.jsonl'):  # and in the middle of a line
        with open(tmp_path / name, 'a') as file:
            file.write('{"step": 5, "lo')
    small.run(tmp_path, **changes(library))
    assert 'resuming from step 8' in capsys.readouterr().out
    same_end(tmp_path, straight, library)
    assert small.scalars(tmp_path) == small.scalars(straight)
    assert (tmp_path / 'evaluation.jsonl').read_text() == (straight / 'evaluation.jsonl').read_text()
    drawn = [np.load(path / 'drawn.npz')['counts'] for path in (tmp_path, straight)]
    np.testing.assert_array_equal(*drawn)


def test_sigterm_saves_says_so_and_the_same_command_goes_on(program, library, straight, tmp_path, capsys):
    code, out, err = program(tmp_path, signalled=(signal.SIGTERM, tmp_path, 6), **changes(library, **{'checkpoint.every': 1000}))
    assert code == 0 and 'Traceback' not in err, err
    stopped = int(out.split('stopped and saved at step ')[1].split(';')[0])
    assert 2 <= stopped < STEPS and [path.name for path in (tmp_path / 'checkpoints').iterdir()] == [str(stopped)]
    small.run(tmp_path, **changes(library))
    assert f'resuming from step {stopped}' in capsys.readouterr().out
    same_end(tmp_path, straight, library)
    assert (tmp_path / 'evaluation.jsonl').read_text() == (straight / 'evaluation.jsonl').read_text()


@pytest.mark.parametrize('phase, count, step', [
    ('evaluate', 2, 8), pytest.param('evaluate', 4, STEPS, marks=pytest.mark.long), ('sample', 2, 10)])
def test_a_stop_while_it_evaluates_or_draws_saves_at_once_and_is_made_up_for(library, straight, tmp_path, capsys, phase, count, step):
    with phases.signalled(signal.SIGTERM, phase, count):
        small.run(tmp_path, **changes(library, **{'checkpoint.every': 1000, 'sample.every': 10 if phase == 'sample' else None}))
    assert 'stopped and saved' in capsys.readouterr().out and Checkpoints(tmp_path / 'checkpoints').latest() == step
    assert step not in [line['step'] for line in small.lines(tmp_path / 'evaluation.jsonl')]
    assert not (tmp_path / 'samples/step-000010').exists() and not (tmp_path / 'report.html').exists()
    small.run(tmp_path, **changes(library, **{'sample.every': 10 if phase == 'sample' else None}))
    same_end(tmp_path, straight, library)
    assert (tmp_path / 'evaluation.jsonl').read_text() == (straight / 'evaluation.jsonl').read_text()
    drawn = [path.name for path in sorted((tmp_path / 'samples').glob('step*'))]
    assert drawn == (['step-000000', 'step-000010', 'step-000020'] if phase == 'sample' else [])


def test_a_finished_run_says_how_to_extend_it_and_extended_equals_a_longer_one(library, straight, tmp_path, capsys):
    half = changes(library, **{'train.steps': STEPS // 2})
    small.run(tmp_path, **half)
    left = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.is_file()}
    capsys.readouterr()
    small.run(tmp_path, **half)
    said = capsys.readouterr().out
    assert f'holds a finished run of {STEPS // 2} steps' in said and f'--config.train.steps={STEPS}' in said
    assert left == {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.is_file()}
    small.run(tmp_path, **changes(library))
    assert f'resuming from step {STEPS // 2}' in capsys.readouterr().out
    same_end(tmp_path, straight, library)
    assert json.loads((tmp_path / 'summary.json').read_text())['steps'] == STEPS


@pytest.fixture
def copy(straight, tmp_path):
    return shutil.copytree(straight, tmp_path / 'copy')


@pytest.mark.parametrize(('key', 'value', 'words'), [
    ('law.kind', 'uniform', "law.kind: 'beta' -> 'uniform'"), ('train.batch', 16, 'train.batch: 8 -> 16'), ('seed', 1, 'seed: 0 -> 1'),
    ('model.preset', 'medium', "model.preset: 'tiny' -> 'medium'")])
def test_another_config_is_refused_by_its_key_and_nothing_is_touched(library, copy, key, value, words):
    left = {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}
    for mode in ('train', 'eval', 'score'):
        with pytest.raises(UserError, match='holds a run with another config') as error:
            small.run(copy, mode, **changes(library, **{key: value}))
        assert words in str(error.value) and '\n' not in str(error.value)
    assert left == {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}


def test_other_clips_under_the_same_name_are_refused(library, tmp_path):
    mine, table = pathlib.Path(library).with_name('mine.parquet'), pyarrow.parquet.read_table(library)
    pyarrow.parquet.write_table(table, mine)
    small.run(tmp_path, **changes(mine, **{'train.steps': 1}))
    pyarrow.parquet.write_table(table.slice(1), mine)
    with pytest.raises(UserError, match=r'holds a run on other clips: 1 clip is gone'):
        small.run(tmp_path, **changes(mine, **{'train.steps': 2}))
    pyarrow.parquet.write_table(table, mine)
    small.run(tmp_path, **changes(mine, **{'train.steps': 2}))
    assert Checkpoints(tmp_path / 'checkpoints').steps() == [1, 2]


def test_how_many_clips_validate_may_change_and_training_does_not(library, tmp_path, compiled):
    half = changes(library, **{'data.held_out_fraction': 0.6, 'train.steps': 1})
    small.run(tmp_path, **half)
    small.run(tmp_path, **{**half, 'train.steps': 2, 'eval.clips_per_quadrant': 2})
    one, two = (small.built(tmp_path, **{**half, 'eval.clips_per_quadrant': most}) for most in (1, 2))
    np.testing.assert_array_equal(one.training, two.training)
    assert set(one.validation) < set(two.validation) and not np.isin(two.validation, two.training).any()
    counts = [sum(record['count'][q][0] for q in range(4)) for record in small.lines(tmp_path / 'evaluation.jsonl')]
    assert counts == [len(one.validation)] * 2 + [len(two.validation)]


def test_a_cosine_is_as_long_as_its_run(library, tmp_path, compiled, capsys):
    cosine = changes(library, **{'train.schedule': 'cosine', 'train.steps': 2})
    small.run(tmp_path, **cosine)
    small.run(tmp_path, **cosine)
    assert 'its cosine schedule has come to its end' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'train\.steps: 2 -> 4'):
        small.run(tmp_path, **{**cosine, 'train.steps': 4})


def test_killed_after_its_last_step_it_still_ends_with_a_report(library, straight, copy):
    report = copy / 'report.html'
    (copy / 'weights.npz').unlink()
    for lost in (lambda: report.unlink(), lambda: (copy / 'summary.json').write_text(json.dumps({'steps': STEPS // 2}))):
        lost()  # killed before the report, and an extended run killed before its own
        small.run(copy, **changes(library))
        assert report.exists() and json.loads((copy / 'summary.json').read_text())['steps'] == STEPS
        assert (copy / 'weights.npz').exists()
        same_end(copy, straight, library)
