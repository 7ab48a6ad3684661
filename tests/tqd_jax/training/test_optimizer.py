"""The optimizers: which leaves go where, at what rate, and what a step of each is."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tqd_jax.config import Train
from tqd_jax.models.wan import model as wan
from tqd_jax.training.optimizer import is_decayed, make_optimizer

CONFIG = wan.WanConfig(layers=3, heads=2, head_dim=8, ffn_dim=40, text_dim=6, text_len=4, in_channels=3, out_channels=3, vocab=8)
RATE = 1e-3


@pytest.fixture(scope='module')
def params():
    return wan.init_params(CONFIG, jax.random.key(0))


def section(**options):
    """config.train without warm-up and clipping, at RATE."""
    return Train(**{'warmup': 0, 'learning_rate': RATE, 'clip_norm': 1e9} | options)


def one_update(params, optimizer):
    """{name: update}, the first one, on gradients of normal noise."""
    grads = jax.tree.map(lambda x: jnp.asarray(np.random.default_rng(x.size).standard_normal(x.shape), jnp.float32), params)
    with jax.numpy_dtype_promotion('standard'):
        updates, _ = jax.jit(optimizer.update)(grads, optimizer.init(params), params)
    return {jax.tree_util.keystr(path, simple=True, separator='/'): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(updates)}


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest(params):
    train = section(optimizer='muon', weight_decay=0.1)
    muon = one_update(params, make_optimizer(train)[0])
    adamw = one_update(params, optax.adamw(RATE, b1=train.b1, b2=train.b2, weight_decay=0.1, nesterov=True, mask=is_decayed))
    differ = {name for name in muon if not np.allclose(muon[name], adamw[name], rtol=1e-4, atol=1e-9)}
    assert differ == {name for name in muon if name.startswith('blocks/') and name.endswith('/kernel')}


def test_every_matrix_of_muon_is_near_orthogonal_and_as_large_as_adamws_updates(params):
    updates = one_update(params, make_optimizer(section(optimizer='muon'))[0])
    for name in ('blocks/up/kernel', 'blocks/down/kernel'):
        singular = np.linalg.svd(updates[name], compute_uv=False) / (RATE * 0.2 * np.sqrt(max(updates[name].shape[1:])))
        assert singular.shape[0] == CONFIG.layers
        assert 0.6 < singular.min() and singular.max() < 1.3  # five Newton-Schulz steps bring them into about [0.68, 1.13]


LINEAR = ('patch_in', 'patch_out', 'text_in', 'text_out', 'time_in', 'time_out', 'time_rows', 'blocks/up', 'blocks/down',
          *(f'blocks/{attention}/{name}' for attention in ('attention', 'cross') for name in ('q', 'k', 'v', 'out')))
DECAYED = {f'{layer}/kernel' for layer in LINEAR}
WHOLE = {f'{layer}/bias' for layer in LINEAR} | {
    'embed/embedding', 'modulation', 'blocks/modulation', 'blocks/norm/scale', 'blocks/norm/bias', 'blocks/attention/norm_q/scale',
    'blocks/attention/norm_k/scale', 'blocks/cross/norm_q/scale', 'blocks/cross/norm_k/scale'}


@pytest.mark.parametrize('optimizer', ['adamw', 'muon'])
def test_kernels_decay_and_no_other_leaf(params, optimizer):
    """The update with decay less that without is -rate * decay * p at kernels and 0 elsewhere, leaf by leaf."""
    params = jax.tree.map(lambda x: x + 0.5, params)  # biases begin at 0, where no decay would show
    decayed, plain = (one_update(params, make_optimizer(section(optimizer=optimizer, weight_decay=decay))[0]) for decay in (0.5, 0.0))
    named = {jax.tree_util.keystr(path, simple=True, separator='/'): np.asarray(leaf)
             for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    assert named.keys() == DECAYED | WHOLE
    for name, leaf in named.items():
        expected = -RATE * 0.5 * leaf if name in DECAYED else np.zeros_like(leaf)
        np.testing.assert_allclose(decayed[name] - plain[name], expected, atol=1e-8, err_msg=name)


@pytest.mark.parametrize('optimizer', ['adamw', 'muon'])
def test_the_rate_warms_up_and_stays_or_falls_along_a_cosine(optimizer):
    schedule = lambda kind: make_optimizer(section(warmup=10, steps=110, optimizer=optimizer, schedule=kind))[1]
    at = lambda kind, *steps: [float(schedule(kind)(step)) for step in steps]
    np.testing.assert_allclose(at('constant', 0, 4, 9, 10, 100), [RATE / 10, RATE / 2, RATE, RATE, RATE], rtol=1e-6)
    np.testing.assert_allclose(at('cosine', 4, 10, 60, 110), [RATE / 2, RATE, RATE / 2, 0], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(('warmup', 'first'), [(0, RATE), (1, RATE), (4, RATE / 4)])
@pytest.mark.parametrize('kind', ['constant', 'cosine'])
def test_the_first_step_learns_at_the_rate_of_the_schedule(params, warmup, first, kind):
    optimizer, schedule = make_optimizer(section(warmup=warmup, schedule=kind))
    assert float(schedule(0)) == pytest.approx(first, rel=1e-6)
    update = one_update(params, optimizer)['patch_in/kernel']
    np.testing.assert_allclose(np.abs(update), first, rtol=1e-3)  # Adam's first update is the gradient's sign
