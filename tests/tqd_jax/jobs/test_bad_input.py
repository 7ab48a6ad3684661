"""What bad input gets from the main job: one clear line that names it, or a listed skip; and nothing that was there is lost."""
import contextlib
import dataclasses
import errno
import os
import pathlib
import resource
import shutil
import types

import bad_clips
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest
import small
from absl.testing import flagsaver

import tqd_jax.training.loop as loop
from tqd_jax import main
from tqd_jax.config import Config
from tqd_jax.data.buckets import Bucket
from tqd_jax.data.frames import LONG, FrameStore
from tqd_jax.training.run import check_accumulation
from transfer_jax.runtime.app import parse
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import read_metrics
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.tensors import load_weights, save_weights

BAD = {name: case for name, case in bad_clips.BAD.items() if name not in ('missing.mp4', 'pipe.mp4', 'folder.mp4')}  # folders are none


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Six good clips, and one of every kind of bad file."""
    folder, scratch = tmp_path_factory.mktemp('clips'), tmp_path_factory.mktemp('scratch')
    small.moving(folder, [f'good{i}.mp4' for i in range(6)])
    for name, (make, _) in BAD.items():
        make(scratch / name)
        os.rename(scratch / name, folder / name)
    return folder


def one_line(error):
    text = str(error.value)
    assert text and '\n' not in text
    return text


def test_bad_clips_are_skipped_and_listed_each_with_its_reason(folder, tmp_path):
    small.run(tmp_path, 'score', **{'data.clips': folder, 'data.max_skipped_fraction': 0.8})
    used = pa.parquet.read_table(tmp_path / 'scores.parquet', filters=pc.field('reason').is_null())['clip'].to_pylist()
    assert used == [str(folder / f'good{i}.mp4') for i in range(6)]
    reasons = {pathlib.Path(row['clip']).name: row['reason'] for row in small.lines(tmp_path / 'skipped.jsonl')}
    assert reasons.keys() == BAD.keys() and all(reason and '\n' not in reason for reason in reasons.values())
    for name, words in (('sound.mp4', 'only sound'), ('one.mp4', 'a single frame'), ('dot.mp4', '1x1'), ('tail.mkv', 'truncated')):
        assert words in reasons[name]
    assert all(name in (tmp_path / 'report.html').read_text() for name in BAD), 'the report does not tell'


def test_too_many_bad_clips_stop_the_run_before_it_starts(folder, tmp_path, capsys):
    with pytest.raises(UserError, match=r'config\.data\.max_skipped_fraction=0\.25') as error:
        small.run(tmp_path, **{'data.clips': folder})
    assert f'{len(BAD)} of {len(BAD) + 6} clips cannot be used' in one_line(error)
    assert len(small.lines(tmp_path / 'skipped.jsonl')) == len(BAD)
    assert not (tmp_path / 'checkpoints').exists() and 'compiled' not in capsys.readouterr().out


def test_a_folder_of_bad_clips_alone(tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(UserError, match=r'the one clip is not usable; the first is .*text\.mp4 \(not a video'):
        small.run(tmp_path / 'run', **{'data.clips': tmp_path, 'data.max_skipped_fraction': 1.0})


def test_one_good_clip_is_enough(tmp_path, compiled):
    small.moving(tmp_path / 'clips', ['only.mp4'])
    small.run(tmp_path / 'run', **{'data.clips': tmp_path / 'clips', 'train.steps': 1})
    assert (tmp_path / 'run/report.html').exists()


@pytest.mark.parametrize(('rows', 'words'), [
    ([{'clip': 'good0.mp4', 'mq': float('nan'), 'vq': 0.5}], 'row 0: mq is nan'),
    ([{'clip': 'good0.mp4', 'mq': 0.5, 'vq': 1.5}], 'row 0: vq is 1.5; it must be in [0, 1]'),
    ([{'clip': 'good0.mp4', 'mq': 0.5, 'vq': None}], 'row 0: vq is None'),
    ([{'clip': 'good0.mp4', 'motion': 0.5}], 'one of motion and visual; give both or neither'),
    ([{'clip': 'good0.mp4'}] * 2, 'good0.mp4 is listed 2 times'),
    ([{'picture': 'good0.mp4'}], 'needs a column `clip`'),
])
def test_faults_of_a_manifest_are_named(folder, tmp_path, rows, words):
    path = folder / 'manifest.parquet'
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(UserError) as error:
        small.run(tmp_path, **{'data.clips': path})
    assert words in one_line(error) and str(path) in str(error.value)
    assert not (tmp_path / 'scores.parquet').exists()


def test_scores_for_some_sources_only_are_refused(folder, tmp_path):
    small.moving(tmp_path / 'plain', ['a.mp4'])
    path = folder / 'manifest.parquet'
    pa.parquet.write_table(pa.Table.from_pylist([{'clip': 'good0.mp4', 'mq': 0.5, 'vq': 0.5}]), path)
    with pytest.raises(UserError, match=r'a=.*manifest\.parquet has mq and vq, and b=.*plain does not'):
        small.run(tmp_path / 'run', **{'data.clips': f'a={path},b={tmp_path}/plain'})


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path):
    small.moving(tmp_path / 'fps=8', ['a.mp4', 'b.mp4'])
    small.run(tmp_path / 'run', 'score', **{'data.clips': tmp_path / 'fps=8'})
    assert pa.parquet.read_table(tmp_path / 'run/scores.parquet')['source'].to_pylist() == ['clips'] * 2


# what is written behind a good command line, and words of the answer
FAULTS = {
    '--config.data.path=clips': ["config.data.path = 'clips'", 'did you mean config.data.clips (a folder with its captions'],
    '--config.train.stpes=5': ["config.train.stpes = '5'", 'did you mean config.train.steps?'],
    '--config.align.buckets=5': ['config.align.buckets was renamed: write config.align.bins'],
    '--config.learn.buckets=5': ['config.learn.buckets was renamed: write config.learn.bins'],
    '--config.align.look=noise': ['config.align.look was renamed: write config.align.degradation'],
    '--config.train.steps=abc': ["config.train.steps = 'abc'", 'an integer, at least 1'],
    '--config.train.steps=0': ['config.train.steps = 0', 'at least 1'],
    '--config.train.steps=1.5': ['config.train.steps = 1.5', 'an integer'],
    '--config.train.learning_rate=-1': ['config.train.learning_rate = -1', 'above 0'],
    '--config.train.ema=1': ['config.train.ema = 1', 'below 1'],
    '--config.data.dropout=some': ["config.data.dropout = 'some'", 'one of sampler, weight, none'],
    '--config.data.buckets=(32,32,8)': ['config.data.buckets = (32, 32, 8)', 'a tuple of one or more', 'as in ((64, 48, 9),)'],
    '--config.data.buckets=((30,30,7),)': ['config.data.buckets', '(30, 30, 7)', 'height 30 (take 28 or 32)'],
    '--config.data.mix={"a":{"rate":-1,"weight":1}}': ['config.data.mix.a.rate = -1', 'a number, above 0'],
    '--config.data.mix={"a":{"rate":3}}': ['config.data.mix.a.weight is missing', 'a number, at least 0'],
    '--config.data.mix={"a":3}': ['config.data.mix.a = 3', 'config.data.mix.a'],
    '--config.data.mix=3': ['config.data.mix = 3', 'a dict of names in quotes'],
    '--config.data.mix.web.rate=3': ['config.data.mix.web.rate', 'give config.data.mix as one value, a dict of names in quotes'],
    '--config.data.clips=/nowhere/at/all': ['config.data.clips', '/nowhere/at/all'],
    '--config.law.kind=wrong': ["config.law.kind = 'wrong'", 'uniform, beta, exact_base, offset, min_noise'],
    '--config.law.density=(1,2)': ['config.law.density = (1, 2)', 'config.law.base'],
    '--config.law.kappa_max=1': ['config.law.kappa_base = 2.0 is above config.law.kappa_max = 1'],
    '--config.law.motion_threshold=0.9': ["config.law: the law 'beta' does not read motion_threshold, which is 0.9"],
    '--config.law.visual_threshold=1.5': ['config.law.visual_threshold = 1.5', 'at least 0, at most 1'],
    '--config.law.strength=0.9': ["config.law: the law 'beta' does not read strength, which is 0.9"],
    '--config.law.loc=1': ["config.law.base = 'uniform' does not read law.loc = 1", 'logit_normal'],
    '--config.mesh.fsdp=3': ['fsdp=3', '8 devices'],
    '--config.mesh.context=8': ['config.mesh.context = 8 does not divide the 32 tokens of 16x16x4', '4 heads: take one of 1, 2, 4'],
    '--config.mesh.reduce=bfloat16': ['config.mesh.reduce = "bfloat16" wants config.model.dtype = "bfloat16"', "'float32'"],
    '--config.profile.steps=(9,3)': ['config.profile.steps = (9, 3) traces no step', 'config.train.steps = '],
    '--config.train.batch=12': ['a batch of 12 does not divide over 8 devices; take 8 or 16'],
    '--config.train.accumulate=3': ['config.train.batch = 8', 'train.accumulate = 3'],
    '--config.train.accumulate=8': ['config.train.batch = 8 does not divide into train.accumulate = 8 slices over 8 devices',
                                    'take a batch of 64, or train.accumulate of 1'],
    '--config.init_from=gone.npz': ["config.init_from = 'gone.npz'", 'no such file'],
    '--config.init_from=asset:gone.npz': ["config.init_from = 'asset:gone.npz'", 'no such file'],
    '--mode=dance': ['mode', 'dance', 'train|score|sample|eval'],
    '--workdri=x': ["'workdri'"],
}


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')  # how ml_collections reads a config file
@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_of_the_command_line_is_one_line_before_anything_is_done(tmp_path, fault):
    with flagsaver.flagsaver(), pytest.raises(UserError) as error:
        main.main(parse(['main', *small.command_line(tmp_path), fault], Config), tmp_path, 'train')
    assert all(word in one_line(error) for word in FAULTS[fault]), error.value
    assert not (tmp_path / 'library').exists() and not (tmp_path / 'scores.parquet').exists()


@pytest.mark.parametrize(('batch', 'accumulate', 'devices', 'advice'), [
    (24, 4, 4, 'a batch of 16 or 32, or train.accumulate of 1, 2, 3, 6'), (16, 16, 8, 'a batch of 128, or train.accumulate of 1, 2')])
def test_slices_that_do_not_divide_over_the_devices_are_refused_with_numbers_that_do(batch, accumulate, devices, advice):
    with pytest.raises(UserError, match=f'take {advice}$'):
        check_accumulation(batch, accumulate, devices)
    text = advice.replace(',', ' ').split()
    batches, slices = ([int(word) for word in part if word.isdigit()] for part in (text[:text.index('train.accumulate')],
                                                                                    text[text.index('train.accumulate'):]))
    for fitting in ([(b, accumulate) for b in batches] + [(batch, a) for a in slices]):
        check_accumulation(*fitting, devices)


def test_as_a_program_it_is_one_line_on_stderr_and_code_2(program, tmp_path):
    code, out, err = program(tmp_path, **{'train.stpes': 5})
    assert code == 2 and err.startswith('error: config.train.stpes = ') and err.count('\n') == 1 and not out
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope='module')
def trained(folder, compiled, tmp_path_factory):
    """(work directory, its changes) of a finished run of 4 steps on the good clips."""
    workdir, clips = tmp_path_factory.mktemp('trained'), tmp_path_factory.mktemp('good')
    for path in folder.glob('good*.mp4'):
        shutil.copy(path, clips)
    changes = {'data.clips': clips, 'train.steps': 4, 'checkpoint.every': 2, 'log_every': 1}
    small.run(workdir, **changes)
    return workdir, changes


def test_weights_of_another_shape_are_refused_before_clips_are_scored(trained, tmp_path):
    workdir, changes = trained
    with np.load(workdir / 'weights.npz') as weights:
        name = min(weights)
        save_weights(tmp_path / 'other.npz', {**weights, name: weights[name][..., :1]})
    with pytest.raises(UserError, match='is of another model or config') as error:
        small.run(tmp_path / 'run', **{**changes, 'init_from': tmp_path / 'other.npz'})
    assert name in one_line(error) and not (tmp_path / 'run/scores.parquet').exists()


def test_weights_that_predict_something_else_are_refused_before_clips_are_scored(trained, tmp_path):
    workdir, changes = trained
    with pytest.raises(UserError, match=r"config.train.prediction = 'noise', but .*weights.npz was trained with 'flow'") as error:
        small.run(tmp_path / 'run', **{**changes, 'init_from': workdir / 'weights.npz', 'train.prediction': 'noise'})
    assert 'config.json' in one_line(error) and not (tmp_path / 'run/scores.parquet').exists()


def test_weights_that_are_not_numbers_stop_the_first_step(trained, tmp_path):
    workdir, changes = trained
    with np.load(workdir / 'weights.npz') as weights:
        save_weights(tmp_path / 'nan.npz', {name: np.full_like(leaf, np.nan) for name, leaf in weights.items()})
    with pytest.raises(UserError, match=r'the loss is not finite at step 1 \(bucket 16x16x4, in noise bins \[0\.') as error:
        small.run(tmp_path / 'run', **{**changes, 'init_from': tmp_path / 'nan.npz'})
    assert 'nothing has been saved yet' in one_line(error) and not (tmp_path / 'run/checkpoints').exists()


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(trained, tmp_path, monkeypatch):
    workdir, changes = shutil.copytree(trained[0], tmp_path / 'run'), {**trained[1], 'train.steps': 9, 'log_every': 4}
    give = loop.to_global
    factor = lambda batch: np.float32('nan' if batch.example[0] == 6 * 8 else 1)
    poison = lambda batch: dataclasses.replace(batch, weight=batch.weight * factor(batch))
    monkeypatch.setattr(loop, 'to_global', lambda batch, mesh: give(poison(batch), mesh))
    with pytest.raises(UserError, match=r'the loss is not finite at step 7 \(bucket 16x16x4') as error:
        small.run(workdir, **changes)
    assert 'the checkpoint of step 6 is kept' in one_line(error)
    assert Checkpoints(workdir / 'checkpoints').steps() == [4, 6]
    monkeypatch.setattr(loop, 'to_global', give)
    small.run(workdir, **changes)
    assert small.saved(workdir, **changes)[0] == 9 and max(line['step'] for line in read_metrics(workdir / 'metrics.jsonl')) == 9


def test_a_clip_that_vanishes_stops_the_run_by_its_name(trained, tmp_path):
    changes = {**trained[1], 'data.clips': shutil.copytree(trained[1]['data.clips'], tmp_path / 'clips'), 'data.cache_gb': 0}
    main.prepare_once(small.config(**changes), tmp_path)
    run = small.built(tmp_path, **changes)
    for path in (tmp_path / 'clips').iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r'good\d\.mp4 was scored but cannot be read any more') as error:
        loop.train(run)
    one_line(error)


def one_clip(path, seconds, folder):
    """The FrameStore of one clip that is to last `seconds`."""
    return FrameStore(rows=types.SimpleNamespace(paths=[str(path)], ids=[10], duration=[seconds]), fps=8.0, folder=folder)


@pytest.mark.parametrize(('seconds', 'kept'), [(LONG, 1), (LONG + 1, 0)])
def test_a_long_clip_is_read_window_by_window(tmp_path, seconds, kept):
    small.moving(tmp_path, ['a.mp4'])
    store = one_clip(tmp_path / 'a.mp4', seconds, str(tmp_path / 'frames'))
    assert store.window(0, Bucket(width=32, height=32, frames=6), 0.0).shape == (6, 32, 32, 3)
    assert len([*tmp_path.glob('frames/*')]) == kept


@pytest.mark.parametrize('cached', [True, False])
def test_a_clip_shorter_than_it_says_gives_what_it_has(tmp_path, cached):
    small.moving(tmp_path, ['a.mp4'])
    folder = str(tmp_path / 'frames') if cached else None
    store = one_clip(tmp_path / 'a.mp4', 60.0, folder)
    assert store.window(0, Bucket(width=32, height=32, frames=6), 0.9).shape == (6, 32, 32, 3)


@contextlib.contextmanager
def full_after(limit):
    """No file of this process grows beyond `limit` bytes: writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_at_a_checkpoint_leaves_the_one_before(trained, tmp_path):
    workdir, changes = shutil.copytree(trained[0], tmp_path / 'run'), {**trained[1], 'train.steps': 6}
    wanted = load_weights(workdir / 'weights.npz', small.built(workdir, **changes).abstract_state.trained)
    with pytest.raises(UserError, match=r'checkpoint of step 6 to .*: the checkpoint of step 4 is intact') as error, full_after(100_000):
        small.run(workdir, **changes)
    one_line(error)
    step, state = small.saved(workdir, **changes)
    assert step == 4
    for name, leaf in small.named_leaves(wanted).items():
        np.testing.assert_array_equal(state[f'average/{name}'], leaf)
    small.run(workdir, **changes)
    assert small.saved(workdir, **changes)[0] == 6


@pytest.mark.parametrize('name', ['sheet.png', 'summary.json'])
def test_a_full_disk_anywhere_is_told_and_what_was_there_stays(trained, tmp_path, monkeypatch, name):
    workdir, changes = shutil.copytree(trained[0], tmp_path / 'run'), trained[1]
    (workdir / 'report.html').unlink()
    before = (workdir / 'scores.parquet').read_bytes()
    replace = os.replace

    def full(source, target):
        if pathlib.Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(UserError, match='cannot be written: No space left on device') as error:
        small.run(workdir, **changes)
    assert name in one_line(error) and not (workdir / 'report.html').exists()
    assert (workdir / 'scores.parquet').read_bytes() == before and small.saved(workdir, **changes)[0] == 4
