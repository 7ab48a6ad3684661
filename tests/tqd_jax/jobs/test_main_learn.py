"""--mode=learn and training by what it wrote, from end to end on small clips, and what goes wrong told at once."""
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from tqd_jax.data.loader import make_batches
from tqd_jax.timesteps.law import sample_timesteps
from transfer_jax.runtime.errors import UserError

LEARN = {'init_from': 'asset:tiny.npz', 'data.buckets': ((32, 32, 8),), 'learn.chunks': 6, 'learn.chunk': 1, 'learn.bins': 2,
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
    return small.run_stopped(workdir, 'learn', 'bin0', **{**LEARN, 'data.clips': given, 'learn.by': 'source', 'learn.target': 'good'})


def test_noise_teaches_little_and_the_page_says_so(learned):
    record = json.loads((learned / 'law.json').read_text())
    assert (record['groups'], record['clips'], record['target'], record['t'], record['step']) == (['good', 'noise'], [8, 7], 'good',
                                                                                               [0.25, 0.75], 0)
    shares, weight = np.array(record['shares']), np.array(record['weight'])
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(weight, shares * 15 / np.array([8, 7]), rtol=1e-6)
    assert (shares[:, 1] < 0.1).all(), 'clips of pure noise are to be drawn as if they were good'
    assert not (learned / 'checkpoints').exists() and not (learned / 'gradients').exists()
    page = (learned / 'report.html').read_text()
    assert 'training for clips like &#34;good&#34;' in page and 'Weight of a clip by noise' in page


@pytest.mark.long
def test_who_wants_noise_gets_noise(given, tmp_path):
    """The target is not the first kind: what is found for each must not change places."""
    small.run(tmp_path, 'learn', **{**LEARN, 'data.clips': given, 'learn.by': 'source', 'learn.target': 'noise'})
    record = json.loads((tmp_path / 'law.json').read_text())
    assert record['groups'] == ['good', 'noise'] and record['clips'] == [8, 7]
    assert (np.array(record['shares'])[:, 0] < 0.3).all(), 'good clips are to be drawn as if they were noise'


@pytest.mark.parametrize('dropout', ['sampler', pytest.param('weight', marks=pytest.mark.long)])
def test_training_draws_as_the_law_says(dropout, learned, given, tmp_path):
    """A law with weights of one's own making: of noise only noisy t, a quarter as many; of good clips every t."""
    record = json.loads((learned / 'law.json').read_text()) | {'weight': [[2.0, 0.0], [2.0, 1.0]]}
    (tmp_path / 'law.json').write_text(json.dumps(record))
    changes = {'init_from': None, 'data.clips': given, 'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json'),
               'data.held_out_fraction': 0.0, 'data.dropout': dropout}
    small.run(tmp_path / 'run', **changes)
    run = small.built(tmp_path / 'run', **changes)
    dataset = make_batches(run.library, run.loader, run.training)
    batches = [dataset[number] for number in range(100)]
    clips, weight = (np.concatenate([getattr(batch, key) for batch in batches]) for key in ('clip', 'weight'))
    noise = clips >= 8
    share, error = np.average(noise, weights=weight), 4 * np.sqrt(0.18 * 0.82 / 800)
    assert share == pytest.approx(7 * 0.25 / (8 + 7 * 0.25), abs=error), 'noise counts otherwise than the law says'
    assert set(weight[noise]) == {0.25 if dropout == 'weight' else 1.0} and set(weight[~noise]) == {1.0}
    laws = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)), *(batch.law for batch in batches))
    t = sample_timesteps(laws, jnp.asarray((np.arange(800) + 0.5) / 800, jnp.float32))
    assert (t[noise] >= 0.5).all() and np.mean(t[~noise] < 0.5) == pytest.approx(0.5, abs=0.08)


def test_a_run_keeps_its_law(learned, given, tmp_path):
    law = tmp_path / 'law.json'
    law.write_bytes((learned / 'law.json').read_bytes())
    changes = {'init_from': None, 'data.clips': given, 'law.kind': 'learned', 'law.file': str(law), 'data.held_out_fraction': 0.0}
    small.run(tmp_path / 'run', **changes)
    assert 'training for clips like &#34;good&#34;' in (tmp_path / 'run/report.html').read_text()
    other = json.loads(law.read_text()) | {'weight': [[1.0, 1.0], [1.0, 1.0]]}
    law.write_text(json.dumps(other))
    with pytest.raises(UserError, match=r'is not the law that .* is trained by \(.*learned_law\.json\)'):
        small.run(tmp_path / 'run', **changes, **{'train.steps': 12})
    law.unlink()
    small.run(tmp_path / 'run', **changes, **{'train.steps': 12})
    assert small.saved(tmp_path / 'run', **changes)[0] == 12


def test_what_it_cannot_do_is_told_at_once(learned, given, tmp_path):
    learn = lambda **changes: small.run(tmp_path, 'learn', **{**LEARN, 'data.clips': given, **changes})
    with pytest.raises(UserError, match=r'no checkpoint and config\.init_from = None'):
        learn(init_from=None)
    with pytest.raises(UserError, match=r"target = None names no group of config\.learn\.by = 'source'; the clips have: good; noise"):
        learn(**{'learn.by': 'source'})
    with pytest.raises(UserError, match=r'of 32 x 32 x 8 for config\.learn\.chunks x chunk = 6 x 2: good \(8\), noise \(7\); lower'):
        learn(**{'learn.by': 'source', 'learn.target': 'good', 'learn.chunk': 2})
    with pytest.raises(UserError, match=r'6 of a group are the least, so give more clips'):
        learn(**{'learn.by': 'source', 'learn.target': 'good', 'data.held_out_fraction': 0.6})
    with pytest.raises(UserError, match=r"by config\.learn\.by = 'source' all clips are of one group, clips: there is nothing"):
        small.run(tmp_path / 'one', 'learn', **{**LEARN, 'data.clips': given.split(',')[0].split('=')[1], 'learn.by': 'source'})
    with pytest.raises(UserError, match=r'config\.learn\.bins = 7 does not divide 120'):
        learn(**{'learn.bins': 7})
    with pytest.raises(UserError, match=r'config\.learn\.chunks = 7 is odd'):
        learn(**{'learn.chunks': 7})


@pytest.mark.parametrize(('changes', 'message'), [
    ({'law.kind': 'learned'}, r'wants config\.law\.file'), ({'law.file': 'x.json'}, r'wants config\.law\.kind = "learned"'),
    ({'law.kind': 'learned', 'law.file': 'nowhere.json'}, 'nowhere.json.* is no law that --mode=learn wrote: No such file'),
    ({'law.kind': 'learned', 'law.file': 'x.json', 'data.dropout': 'none'}, 'not "none"'),
    ({'law.kind': 'learned', 'law.file': 'x.json', 'law.shift': 2.0}, r'leave law\.shift'),
    ({'law.kind': 'learned', 'law.file': 'x.json', 'data.mix': {'a': {'rate': 1.0, 'weight': 1.0}}}, r'leave config\.data\.mix empty')])
def test_keys_that_contradict_each_other_are_told(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        small.run(tmp_path, **changes)


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'Expecting property name'), ('{"by": "source", "weight": [[1]]}', "it has no 'groups'"),
    ('{"by": "source", "kinds": ["good"], "weight": [[1]]}', 'an earlier version of tqd_jax: rename its key "kinds" to "groups"'),
    ('{"by": "source", "groups": ["good"], "weight": [[-1]]}', 'weights are finite'),
    ('{"by": "source", "groups": ["a", "a"], "weight": [[1, 1]]}', 'groups are names'), ('[]', 'is no law')])
def test_a_file_that_is_no_law_is_told(text, message, tmp_path):
    (tmp_path / 'law.json').write_text(text)
    with pytest.raises(UserError, match=message):
        small.run(tmp_path / 'run', **{'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json')})


@pytest.mark.parametrize(('law', 'message'), [
    ('{"by": "source", "groups": ["good"], "weight": [[1]]}', r'config\.law\.file has the groups good, and the clips have noise too'),
    ('{"by": "source", "groups": ["good", "noise", "best"], "weight": [[0, 0, 1]]}', 'the law wants best; it has only good, noise')])
def test_a_law_for_other_clips_is_told(law, message, given, tmp_path):
    (tmp_path / 'law.json').write_text(law)
    with pytest.raises(UserError, match=message):
        small.run(tmp_path / 'run', **{'data.clips': given, 'law.kind': 'learned', 'law.file': str(tmp_path / 'law.json')})
