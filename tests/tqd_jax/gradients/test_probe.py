"""The learned law against problems whose optimum is known: Gaussian kinds with closed forms, limits, invariances, Monte-Carlo risk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path
from tqd_jax.gradients import probe, shares
from tqd_jax.gradients.products import Products, chunk_gradient
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.text.words import HashedWords

C, M, D, B = 16, 4, 400, 3
CLIP, NOISE = 1.0, 2.0  # variances of a gradient over clips, and over noise
RHO = CLIP / (CLIP + NOISE)
SCALE = np.exp(np.random.default_rng(99).uniform(-2, 2, D))  # standard deviation of each parameter's gradient


def halves(rng, means, trials=1, chunks=C):
    """Gradients of chunks in units of their deviations, [chunks, trials, 2 S, D]: a kind's halves share their clips, not their noise."""
    shape = chunks, trials, len(means), D
    clip = means + np.sqrt(CLIP / M) * rng.standard_normal(shape)
    return np.concatenate([clip + np.sqrt(NOISE / M) * rng.standard_normal(shape) for _ in range(2)], axis=2)


def products(vectors):
    """Products [2, C / 2, trials, 2 S, 2 S] by definition: each fold of the chunks in units of V as the other one has it."""
    folds = np.split(vectors, 2)
    variance = [M * fold.var(0, ddof=1).mean(1)[:, None] for fold in folds]
    folds = [fold / np.sqrt(other) for fold, other in zip(folds, variance[::-1], strict=True)]
    return Products(own=np.stack([np.einsum('ktsi,ktri->ktsr', fold, fold) for fold in folds]),
                    cross=np.stack([np.einsum('ktsi,tri->ktsr', fold, fold.sum(0)) for fold in folds]))


def means_of(*levels):
    """Means [S, D]: the target's is 0, kind k's lies in a direction of its own with G_kk = level_k."""
    directions = np.linalg.qr(np.random.default_rng(1).standard_normal((D, len(levels))))[0].T
    return np.concatenate([np.zeros((1, D)), np.sqrt(np.array(levels)[:, None] * D * (CLIP + NOISE)) * directions])


def found(means, trials, seed=0, chunks=C, **options):
    return shares.quantities(products(halves(np.random.default_rng(seed), means, trials, chunks)), np.full(trials, D), M, **options)


def test_the_gram_has_no_bias_where_the_plug_in_has_its_noise():
    levels = np.array([0.0, 0.01, 0.05])
    many = found(means_of(*levels), 200)
    nu = 2 * 4 * (C / 2 - 1) / (1 + RHO**2)  # of V: four kinds, whose halves correlate by RHO
    scale = nu / (nu - 2)
    raw = many.plug_in.mean(0) - scale * np.diag(levels)
    # noise of a kind's mean over the chunks of a fold, in units of V / d: its clips' and half of its noise's, over C m / 2
    each = scale * (CLIP + NOISE / 2) / (CLIP + NOISE) / (C / 2 * M)
    np.testing.assert_allclose(raw, each * (1 + np.eye(3)), rtol=0.1)
    large = found(means_of(0.05, 0.1, 0.2), 200).gram  # far enough from 0 for the projection to have no say
    error = large.std(0) / np.sqrt(200)
    assert (np.abs(large.mean(0) - scale * np.diag([0.05, 0.1, 0.2])) < 4 * error + 5e-4).all()
    assert many.rho.mean() == pytest.approx(scale * RHO, rel=0.02)


@pytest.mark.parametrize('kinds', [2, 4])
def test_few_chunks_leave_kinds_that_are_all_alike_their_shares(kinds):
    """V is noisy itself: of the same chunks, it would give G an excess of more than rho / N, and the target .8 of two kinds, .5 of four.

    What remains of noise is its positive part, G being semi-definite; the jackknife knows how unsure that leaves the shares.
    """
    many, counts = found(np.zeros((kinds, D)), 200, chunks=8, among=True), np.full(kinds, 60)
    q, error = shares.shares(many.gram, many.rho, counts), shares.shares_error(many, counts)
    assert 1 / kinds < q[:, 0].mean() < 1 / kinds + 0.11, q.mean(0)
    assert error[:, 0].mean() > q[:, 0].std(), 'the jackknife is too sure'


def test_kinds_like_the_target_share_alike_and_a_bad_one_gets_next_to_nothing():
    counts, rho = np.array([400, 800, 400]), np.full(100, RHO)
    np.testing.assert_allclose(shares.shares(np.zeros((100, 3, 3)), rho, counts), np.tile(counts / 1600, (100, 1)), rtol=1e-5)
    many = found(means_of(0, 0, 0), 100)
    far = {name: np.abs(shares.shares(getattr(many, name), rho, counts).mean(0) - counts / 1600).max() for name in ('gram', 'plug_in')}
    assert far['gram'] < 0.08 < far['plug_in'], far  # what is left of noise draws shares together a little, its bias much more
    bad = shares.shares(found(means_of(0, 0, 10.0), 100).gram, rho, counts)
    assert bad[:, 2].max() < 0.01


def test_shares_are_the_minimum_that_another_solver_finds():
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((B, 4, 6)) * 0.02
    gram, rho, counts = factor @ np.swapaxes(factor, 1, 2), np.array([0.1, 0.5, 1.0]), np.array([100, 300, 50, 1000])
    q = shares.shares(gram, rho, counts)
    for b in range(B):
        matrix = np.diag(rho[b] / counts) + gram[b]
        other = optimize.minimize(lambda x, matrix=matrix: 1e3 * x @ matrix @ x, np.full(4, 0.25), bounds=[(0, 1)] * 4, tol=1e-14,
                                  constraints={'type': 'eq', 'fun': lambda x: x.sum() - 1})
        assert q[b] @ matrix @ q[b] == pytest.approx(other.x @ matrix @ other.x, rel=1e-5)
        assert q[b].sum() == pytest.approx(1) and (q[b] >= 0).all()


def opposed(seed):
    """(gram, rho, counts) of kinds whose biases nearly cancel each other, at scales far apart."""
    rng = np.random.default_rng(seed)
    kinds, near, scale = int(rng.integers(2, 9)), 10.0**rng.uniform(-6, 0), 10.0**rng.uniform(-6, 3)
    factor = (rng.standard_normal((10, 1, 12)) + near * rng.standard_normal((10, kinds, 12))) * np.sqrt(scale)
    factor *= (rng.choice([-1, 1], kinds) * 10.0**rng.uniform(-2, 2, kinds))[:, None]
    return factor @ np.swapaxes(factor, 1, 2), 10.0**rng.uniform(-3, 0, 10), np.round(10.0**rng.uniform(0.8, 5, kinds))


def test_no_scale_of_the_kinds_is_too_hard():
    """In float32 some of these have no accurate solution. In every one the optimality conditions hold: 2 M q is alike where q > 0."""
    for seed in range(60):
        gram, rho, counts = opposed(seed)
        q = shares.shares(gram, rho, counts)
        matrix = rho[:, None, None] * np.diag(1 / counts) + gram
        slope = np.einsum('bkl,bl->bk', matrix, q)
        size = np.einsum('bkl,bl->bk', np.abs(matrix), q)
        risk = np.sum(q * slope, 1, keepdims=True)
        assert (slope - risk >= -1e-9 * size).all() and (np.abs(slope - risk) <= 1e-9 * size)[q > 0].all(), seed


def test_semidefinite_is_as_exact_as_float64():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((20, 4, 4)))[0]
    values = np.array([1e6, 1.0, 1e-3, -1e-3])
    found = shares.semidefinite(basis * values @ np.swapaxes(basis, 1, 2))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, basis * np.maximum(values, 0) @ np.swapaxes(basis, 1, 2), atol=1e-8)


def test_the_risk_is_the_mean_squared_error_of_the_draws():
    """Draws with replacement from N_k clips a kind, other noise each time: the mean's error, in units of V / d, is what is minimised."""
    rng, means, counts, n, d = np.random.default_rng(4), means_of(0.0, 0.02)[:, :50] * np.sqrt(D / 50), np.array([20, 60]), 200, 50
    q, errors = np.array([0.4, 0.6]), []
    for _ in range(3000):
        total = 0
        for k, share in enumerate(q):
            clips = means[k + 1] + np.sqrt(CLIP) * rng.standard_normal((counts[k], d))
            drawn = clips[rng.integers(0, counts[k], round(share * n))]
            total = total + share * (drawn.mean(0) + np.sqrt(NOISE / len(drawn)) * rng.standard_normal(d))
        errors.append(total @ total / d / (CLIP + NOISE))
    gram = means[1:] @ means[1:].T / d / (CLIP + NOISE)
    predicted = 1 / n + q @ (np.diag(RHO / counts) + gram) @ q
    small = RHO * (q / n / counts).sum()  # the terms in 1 / (n N) that are left out
    assert np.mean(errors) == pytest.approx(predicted - small, abs=4 * np.std(errors) / np.sqrt(3000))


def test_removing_the_bias_comes_nearer_to_the_optimum():
    levels, counts = np.array([0.0, 0.0005, 0.002, 0.02]), np.array([400, 600, 600, 300])
    many, truth = found(means_of(*levels), 200), np.diag(levels) + np.diag(RHO / counts)
    risk = lambda q: np.einsum('bk,kl,bl->b', q, truth, q).mean()
    best = risk(shares.shares(np.tile(np.diag(levels), (200, 1, 1)), np.full(200, RHO), counts))
    clean, raw = (risk(shares.shares(gram, many.rho, counts)) for gram in (many.gram, many.plug_in))
    everything = risk((counts / counts.sum())[None])
    assert best < clean < raw < everything, (best, clean, raw, everything)


def test_a_target_that_is_taught_leads_nowhere_else():
    vectors = halves(np.random.default_rng(5), means_of(0.01, 0.05))
    apart, among = (shares.quantities(products(vectors), np.full(1, D), M, among=among) for among in (False, True))
    assert among.gram.shape == (1, 3, 3) and (among.gram[0, 0] == 0).all() and (among.gram[0, :, 0] == 0).all()
    np.testing.assert_allclose(among.gram[:, 1:, 1:], apart.gram, rtol=1e-6)
    q = shares.shares(among.gram, among.rho, [10, 400, 400])[0]
    assert q[0] > 0.05 and q[1] > q[2], 'ten clips of the target count for less than they are'


def test_a_kind_that_is_bad_in_one_bucket_loses_its_share_there_only():
    buckets = [found(means_of(0, level), 1, seed=7 + i) for i, level in enumerate((1.0, 0.0, 0.0))]
    gram = np.concatenate([one.gram for one in buckets])
    counts = np.array([300, 500])
    q = shares.shares(gram, np.full(3, RHO), counts)
    assert q[0, 1] < 0.02 and (q[1:, 1] > 0.25).all()


def test_chunks_share_no_clip_and_halves_share_them_all():
    kinds = np.split(np.arange(42), [12, 25])
    folds = probe.probe_chunks(kinds, 6, 2, 0)
    assert folds[0].shape == folds[1].shape == (2, 3, 6, 2)
    rows, examples = (x.reshape(6, 6, 2) for x in folds)
    np.testing.assert_array_equal(rows[:, :3], rows[:, 3:])
    assert len(np.unique(examples)) == examples.size and len(np.unique(rows[:, :3])) == rows[:, :3].size
    assert all(np.isin(rows[:, k], kind).all() for k, kind in enumerate(kinds))
    other_rows, other_examples = (x.reshape(6, 6, 2) for x in probe.probe_chunks(kinds, 6, 2, 1))
    assert (other_rows != rows).any() and not np.isin(other_examples, examples).any(), 'another seed has other clips and other noise'
    for chunks, size in ((6, 3), (7, 1), (4, 1)):
        with pytest.raises(ValueError, match='a group has 12 clips: too few'):
            probe.probe_chunks(kinds, chunks, size, 0)


WORDS = HashedWords(length=1, vocab=2)


def clips_of(frames):
    """The Batch of clips without captions."""
    return jax.tree.map(jnp.asarray, uniform_batch(frames, np.zeros((len(frames), 1), np.int32)))


@pytest.fixture(scope='module')
def linear():
    """quantities of a linear model with other units for its two parameters: golden clips, like ones, and ones of another brightness."""
    rng = np.random.default_rng(11)
    draw = lambda low, high, size: rng.integers(low, high, (size, 2, 4, 4, 3)).astype(np.uint8)
    clips = clips_of(np.concatenate([draw(60, 200, 32), draw(60, 200, 48), draw(110, 250, 48)]))
    chunks = probe.probe_chunks(np.split(np.arange(128), [32, 80]), 8, 4, 0)

    def measured(gain=1.0):
        def model(params, frozen, x, t, text):
            return params['gain'] / gain * x + params['bias']
        scaled = Objective(model=model, codec=PixelCodec(), text=WORDS, path=Path(), seed=0)
        params = {'bias': jnp.float32(0.05), 'gain': jnp.float32(0.3 * gain), 'unused': jnp.zeros(3)}
        run = jax.jit(lambda: probe.bin_products(scaled, params, init_frozen(scaled, {}), clips, jnp.int32(0), chunks, 2))
        products, d = run()
        lifted = Products(cross=products.cross[:, :, None], own=products.own[:, :, None])
        return shares.quantities(lifted, np.array([d]), 4), float(d)
    return measured


def test_a_probe_tells_like_clips_from_others_and_units_do_not_matter(linear):
    plain, d = linear()
    assert d == 2, 'a parameter without a gradient counts'
    assert plain.gram[0, 1, 1] > 20 * plain.gram[0, 0, 0] and plain.gram[0, 1, 1] > 0.05
    other, _ = linear(gain=50.0)
    np.testing.assert_allclose(other.gram, plain.gram, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(other.rho, plain.rho, rtol=1e-3)
    q, error = shares.shares(plain.gram, plain.rho, [48, 48]), shares.shares_error(plain, [48, 48])
    assert q[0, 1] < 0.1 and error.shape == (1, 2) and np.isfinite(error).all()


def test_each_fold_is_measured_in_units_of_the_others_variance():
    """Against products of the single gradients of a model with one parameter."""
    clips = clips_of(np.random.default_rng(2).integers(0, 256, (18, 2, 4, 4, 3)).astype(np.uint8))
    objective = Objective(model=lambda params, frozen, x, t, text: params['bias'] + 0 * x, codec=PixelCodec(), text=WORDS,
                          path=Path(), seed=0)
    params, chunks = {'bias': jnp.float32(0.1)}, probe.probe_chunks(np.split(np.arange(18), 3), 6, 1, 0)
    gradient = chunk_gradient(objective, params, init_frozen(objective, {}), clips, 0, 2)
    found, d = jax.jit(lambda: probe.bin_products(objective, params, init_frozen(objective, {}), clips, 0, chunks, 2))()
    each = np.array([float(gradient((r, e))['bias']) for r, e in zip(*(x.reshape(36, 1) for x in chunks), strict=True)]).reshape(2, 3, 6)
    other = each.var(1, ddof=1).mean(1)[::-1]
    np.testing.assert_allclose(found.own, each[..., :, None] * each[..., None, :] / other[:, None, None, None], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.cross, each[..., :, None] * each.sum(1)[:, None, None, :] / other[:, None, None, None], rtol=1e-4,
                               atol=1e-4)
    assert d == 1
