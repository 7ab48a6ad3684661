"""--mode=align on a shrunk run: what it writes, at which weights, on which clips, and what it says when it cannot."""
import json

import jax.numpy as jnp
import numpy as np
import pyarrow.parquet
import pytest
import small

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.gradients import align
from tqd_jax.gradients.products import copy_chunks
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.report.gradients import cosines, differences, summary
from tqd_jax.report.page import write_report
from tqd_jax.text.words import HashedWords
from transfer_jax.runtime.errors import UserError

SETTINGS = {'align.clips': 6, 'align.chunks': 3, 'align.bins': 2, 'data.normaliser': 'rank', 'init_from': 'asset:tiny.npz'}


@pytest.fixture(scope='module')
def given(library, tmp_path_factory):
    """A manifest that says which clips are golden: the first eight of the library."""
    table = pyarrow.parquet.read_table(library)
    quality = [0.9 if i < 8 else 0.3 for i in range(table.num_rows)]
    for name in ('mq', 'vq'):
        table = table.append_column(name, [quality])
    path = library.removesuffix('manifest.parquet') + 'golden.parquet'
    pyarrow.parquet.write_table(table, path)
    return path


@pytest.fixture(scope='module')
def aligned(given, tmp_path_factory, compiled):
    workdir = tmp_path_factory.mktemp('runs') / 'align'
    return small.run_stopped(workdir, 'align', 'bin0', **{**SETTINGS, 'data.clips': given})


def test_it_writes_the_record_and_the_report_without_any_training(aligned):
    record = json.loads((aligned / 'alignment.json').read_text())
    assert (record['step'], record['clips'], record['chunks'], record['examples'], record['t']) == (0, 6, 3, 2, [0.25, 0.75])
    assert record['layers'][0] == 'all' and {'block 1', 'block 4', 'input', 'output', 'time', 'text'} <= set(record['layers'])
    cosine = np.array(record['matched']['cosine'], float)
    assert cosine.shape == (2, len(record['layers']), 2)
    assert (np.abs(cosine) <= 1).all() and (cosine[:, 0] < 0.999).all(), 'a degraded copy has the gradient of the clip itself'
    assert not (aligned / 'checkpoints').exists() and not (aligned / 'gradients').exists()
    page = (aligned / 'report.html').read_text()
    assert summary(record) in page.replace('&#39;', "'") and 'matched cosine' in page and 'Which gradients agree' in page


def test_milder_degradations_agree_more(aligned, given, tmp_path):
    small.run(tmp_path, 'align', **{**SETTINGS, 'data.clips': given, 'align.severity': 0.05, 'align.speed': 0.95})
    mild, hard = (np.array(json.loads((folder / 'alignment.json').read_text())['matched']['cosine'], float)[:, 0].mean(0)
                  for folder in (tmp_path, aligned))
    assert (mild > hard).all(), 'a milder degradation agrees less'


def test_what_it_cannot_do_is_told_at_once(given, tmp_path):
    with pytest.raises(UserError, match=r'no checkpoint and config\.init_from = None'):
        small.run(tmp_path, 'align', **{**SETTINGS, 'init_from': None, 'data.clips': given})
    with pytest.raises(UserError, match=r'8 golden clips .* too few for config\.align\.chunks = 9'):
        small.run(tmp_path, 'align', **{**SETTINGS, 'data.clips': given, 'align.clips': 9, 'align.chunks': 9})
    with pytest.raises(UserError, match=r'config\.align\.clips = 4 is less than align\.chunks = 8'):
        small.run(tmp_path, 'align', **{'align.clips': 4})


def test_copies_are_the_clips_slower_and_blurred():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 16, 16, 3)).astype(np.uint8)
    settings = small.config(**{'align.speed': 0.4, 'align.severity': 0.8}).align
    copies = align.worse_copies(uniform_batch(frames, np.array([[3], [5]], np.int32)), settings)
    whole, slow, look = np.split(copies.video, 3)
    assert copies.text.ravel().tolist() == [3, 5] * 3 and copies.law.alpha.shape == (6,)
    np.testing.assert_array_equal(whole, frames)
    np.testing.assert_array_equal(slow, frames[:, [0, 0, 1, 1, 2, 2, 2, 3]])
    assert look.std() < 0.7 * frames.std() and look.shape == frames.shape


def test_equal_copies_agree_wholly():
    objective = Objective(model=lambda params, frozen, x, t, text: params['gain'] * x + params['bias'], codec=PixelCodec(),
                          text=HashedWords(length=2, vocab=3), path=Path(), seed=0)
    frames = np.tile(np.random.default_rng(0).integers(0, 256, (6, 2, 4, 4, 3)).astype(np.uint8), (3, 1, 1, 1, 1))
    params = {'bias': jnp.float32(0.1), 'gain': jnp.float32(0.3)}
    clips = uniform_batch(frames, np.ones((18, 2), np.int32))
    record = align.measure_alignment(objective, params, init_frozen(objective, {}), clips, copy_chunks(6, 3, 3, 1), 2)
    np.testing.assert_allclose(np.array(record['matched']['cosine'], float), 1, atol=1e-5)
    assert record['layers'] == ('all', 'bias', 'gain') and record['summary']['matched']['crossings'] == []


def test_a_sentence_for_every_verdict():
    for verdict in ('holds', 'reversed', 'above everywhere', 'below everywhere', 'undecided', 'mixed'):
        text = summary({'summary': {'matched': {'crossings': [0.42], 'verdict': verdict}}})
        assert text.startswith('by the matched cosine') and text.endswith('cross at t = 0.42)')


def test_unknown_cosines_are_gaps_and_a_missing_file_a_sentence(tmp_path):
    t, unknown = np.array([0.25, 0.75]), np.array([np.nan, 0.5])
    cosines('title', t, {'visual': (unknown, unknown - 0.1, unknown + 0.1)}, [0.5])
    differences('title', ['all', 'output'], np.array([[np.nan, 0.1], [0.2, -0.1]]), np.array([[0, 1], [0, 0]]))
    assert 'There is no alignment.json yet' in write_report(tmp_path).read_text()


def test_files_of_an_earlier_version_are_a_sentence_each(tmp_path):
    (tmp_path / 'alignment.json').write_text('{"step": 0, "said": {}, "groups": ["all"]}')
    (tmp_path / 'law.json').write_text('{"step": 0, "kinds": ["golden"], "weight": [[1.0]]}')
    page = write_report(tmp_path).read_text()
    assert all(f'{name}.json was written by an earlier version' in page for name in ('alignment', 'law'))
