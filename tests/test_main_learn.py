"""--mode=learn and training by what it wrote, from end to end on small clips, and what goes wrong told at once."""
import json

import jax.numpy as jnp
import numpy as np
import pytest

from tests import small
from tqd_jax.timesteps import log_prob
from transfer_jax.runtime.errors import UserError

LEARN = {'init_from': 'asset:tiny.npz', 'data.buckets': ((32, 32, 8),), 'learn.chunks': 3, 'learn.chunk': 2, 'learn.buckets': 2,
         'data.held_out_fraction': 0.0}


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """Two sources of clips at URLs of their own: smooth ones that move, and noise."""
    folder = tmp_path_factory.mktemp('clips')
    small.moving(folder / 'good', [f'{number}.mp4' for number in range(8)])
    rng = np.random.default_rng(0)
    (folder / 'noise').mkdir()
    for number in range(7):
        small.write_clip(folder / 'noise' / f'{number}.mp4', rng.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8), 8)
    return f'good={folder / "good"},noise={folder / "noise"}'


@pytest.fixture(scope='module')
def learned(given, tmp_path_factory, compiled):
    workdir = tmp_path_factory.mktemp('runs') / 'learn'
    small.run(workdir, 'learn', **{**LEARN, 'data.clips': given, 'learn.by': 'source', 'learn.target': 'good'})
    return workdir


def test_noise_teaches_little_and_the_page_says_so(learned):
    record = json.loads((learned / 'law.json').read_text())
    assert (record['kinds'], record['clips'], record['target'], record['t'], record['step']) == (['good', 'noise'], [8, 7], 'good',
                                                                                               [0.25, 0.75], 0)
    shares, weight = np.array(record['shares']), np.array(record['weight'])
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(weight, shares * 15 / np.array([8, 7]), rtol=1e-6)
    assert (shares[:, 1] < 0.1).all(), 'clips of pure noise are to be drawn as if they were good'
    assert not (learned / 'checkpoints').exists()
    page = (learned / 'report.html').read_text()
    assert 'training for clips like good' in page and 'Weight of a clip by noise' in page


def test_training_draws_as_the_law_says(learned, given, tmp_path):
    """A law with weights of one's own making: of noise only noisy t, of good clips four times as many, and every t."""
    record = json.loads((learned / 'law.json').read_text()) | {'weight': [[2.0, 0.0], [2.0, 1.0]]}
    (tmp_path / 'law.json').write_text(json.dumps(record))
    changes = {'init_from': None, 'data.clips': given, 'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json'),
               'data.held_out_fraction': 0.0}
    small.run(tmp_path / 'run', **changes)
    run = small.built(tmp_path / 'run', **changes)
    assert run.library.keep.tolist() == [1.0] * 8 + [0.25] * 7
    np.testing.assert_allclose(run.library.rates, [8 / 9.75, 1.75 / 9.75])
    low, high = (np.exp(log_prob(run.library.laws(np.array([0, 14])), jnp.full(2, t))) for t in (0.25, 0.75))
    np.testing.assert_allclose([low, high], [[1, 0], [1, 2]], rtol=1e-5)
    other = record | {'weight': [[1.0, 1.0], [1.0, 1.0]]}
    (tmp_path / 'law.json').write_text(json.dumps(other))
    with pytest.raises(UserError, match='holds a run on another set of clips or scores'):
        small.run(tmp_path / 'run', **changes, **{'train.steps': 12})


def test_what_it_cannot_do_is_told_at_once(learned, given, tmp_path):
    learn = lambda **changes: small.run(tmp_path, 'learn', **{**LEARN, 'data.clips': given, **changes})
    with pytest.raises(UserError, match=r'no checkpoint and config\.init_from = None'):
        learn(init_from=None)
    with pytest.raises(UserError, match=r"learn\.target = None names no kind of config\.learn\.by = 'source'; the clips have: good; noise"):
        learn(**{'learn.by': 'source'})
    with pytest.raises(UserError, match=r'chunks x chunk = 3 x 3: good \(8\), noise \(7\); lower one of them'):
        learn(**{'learn.by': 'source', 'learn.target': 'good', 'learn.chunk': 3})
    with pytest.raises(UserError, match=r'config\.learn\.buckets = 7 does not divide 120'):
        learn(**{'learn.buckets': 7})


@pytest.mark.parametrize(('changes', 'message'), [
    ({'law.kind': 'learned'}, r'wants config\.law\.file'), ({'law.file': 'x.json'}, r'wants config\.law\.kind = "learned"'),
    ({'law.kind': 'learned', 'law.file': 'nowhere.json'}, 'nowhere.json.* is no law that --mode=learn wrote: No such file'),
    ({'law.kind': 'learned', 'law.file': 'x.json', 'law.shift': 2.0}, r'leave law\.base'),
    ({'law.kind': 'learned', 'law.file': 'x.json', 'data.mix': {'a': {'rate': 1.0, 'weight': 1.0}}}, r'leave config\.data\.mix empty')])
def test_keys_that_contradict_each_other_are_told(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        small.run(tmp_path, **changes)


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'Expecting property name'), ('{"by": "source", "weight": [[1]]}', "it has no 'kinds'"),
    ('{"by": "source", "kinds": ["good"], "weight": [[-1]]}', 'weights are finite'), ('[]', 'is no law')])
def test_a_file_that_is_no_law_is_told(text, message, tmp_path):
    (tmp_path / 'law.json').write_text(text)
    with pytest.raises(UserError, match=message):
        small.run(tmp_path / 'run', **{'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json')})


def test_a_kind_that_the_law_does_not_know_is_told(given, tmp_path):
    (tmp_path / 'law.json').write_text('{"by": "source", "kinds": ["good"], "weight": [[1]]}')
    with pytest.raises(UserError, match=r'config\.law\.file knows the kinds good, and the clips have noise too'):
        small.run(tmp_path / 'run', **{'data.clips': given, 'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json')})
