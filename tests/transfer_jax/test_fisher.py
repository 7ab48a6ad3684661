"""Fisher Gram matrices against matrices that are formed: explicit gradients, Jacobians and softmax covariances."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transfer_jax.fisher import dimension, fisher_gram, fisher_products

N, INPUTS, CLASSES, K = 53, 4, 3, 5
RNG = np.random.default_rng(0)
draw = lambda *shape: jnp.asarray(RNG.standard_normal(shape), jnp.float32)
PARAMS = {'inner': draw(INPUTS, 6), 'outer': draw(6, CLASSES)}
DELTAS = {'inner': draw(K, INPUTS, 6), 'outer': draw(K, 6, CLASSES)}
BATCH = {'x': draw(N, INPUTS), 'y': jnp.asarray(RNG.integers(0, CLASSES, N), jnp.int32)}
D = INPUTS * 6 + 6 * CLASSES


def logits(params, example):
    return jnp.tanh(example['x'] @ params['inner']) @ params['outer']


def log_prob(params, example):
    return jax.nn.log_softmax(logits(params, example))[example['y']]


def flat(tree, axes):
    """Leaves side by side, the first `axes` axes kept."""
    return np.concatenate([np.asarray(leaf, np.float64).reshape(*leaf.shape[:axes], -1) for leaf in jax.tree.leaves(tree)], -1)


def full_gram(kind):
    """J [D, D] of a kind, formed."""
    if kind == 'empirical':
        rows = flat(jax.vmap(jax.grad(log_prob), (None, 0))(PARAMS, BATCH), 1)
        return rows.T @ rows / N
    jacobian = flat(jax.vmap(jax.jacrev(logits), (None, 0))(PARAMS, BATCH), 2)
    metric = np.broadcast_to(np.eye(CLASSES), (N, CLASSES, CLASSES))
    if kind == 'true':
        p = np.asarray(jax.nn.softmax(jax.vmap(logits, (None, 0))(PARAMS, BATCH)), np.float64)
        metric = np.einsum('nc,ce->nce', p, np.eye(CLASSES)) - p[:, :, None] * p[:, None]
    return np.einsum('ncd,nce,nef->df', jacobian, metric, jacobian) / N


@pytest.mark.parametrize('kind', ['empirical', 'true', 'gauss_newton'])
@pytest.mark.parametrize('minibatch', [1, 10, 256])
def test_the_gram_is_that_of_the_formed_matrix(kind, minibatch):
    deltas = flat(DELTAS, 1)
    truth = deltas @ full_gram(kind) @ deltas.T / D
    result = fisher_gram(log_prob if kind == 'empirical' else logits, PARAMS, DELTAS, BATCH, kind=kind, minibatch=minibatch)
    np.testing.assert_allclose(result, truth, rtol=2e-5, atol=2e-5 * np.abs(truth).max())
    assert np.linalg.eigvalsh(np.asarray(result, np.float64)).min() > -1e-6


def test_the_function_tells_the_kind_and_d_scales():
    np.testing.assert_array_equal(fisher_gram(logits, PARAMS, DELTAS, BATCH), fisher_gram(logits, PARAMS, DELTAS, BATCH, kind='true'))
    scores = fisher_gram(log_prob, PARAMS, DELTAS, BATCH)
    np.testing.assert_array_equal(scores, fisher_gram(log_prob, PARAMS, DELTAS, BATCH, kind='empirical'))
    np.testing.assert_allclose(fisher_gram(log_prob, PARAMS, DELTAS, BATCH, d=7), scores * (dimension(PARAMS) / 7), rtol=1e-6)


def test_deltas_may_come_one_at_a_time():
    stream = (jax.tree.map(lambda x, k=k: np.asarray(x[k]), DELTAS) for k in range(K))
    np.testing.assert_allclose(fisher_gram(logits, PARAMS, stream, BATCH), fisher_gram(logits, PARAMS, DELTAS, BATCH), rtol=1e-5)


def test_a_head_alone_is_its_own_model():
    head = lambda params, example: logits({'inner': PARAMS['inner'], 'outer': params}, example)
    zero = {'inner': 0 * DELTAS['inner'], 'outer': DELTAS['outer']}
    np.testing.assert_allclose(fisher_gram(head, PARAMS['outer'], DELTAS['outer'], BATCH),
                               fisher_gram(logits, PARAMS, zero, BATCH, d=6 * CLASSES), rtol=1e-5)


def test_sampled_labels_average_to_the_exact_kind():
    """Scores at labels from the model itself, 400 of each example: within 5 standard errors."""
    many = jax.tree.map(lambda x: jnp.repeat(x, 400, 0), BATCH)
    labels = jax.random.categorical(jax.random.key(0), jax.vmap(logits, (None, 0))(PARAMS, many))
    a = np.asarray(fisher_products(log_prob, PARAMS, DELTAS, {'x': many['x'], 'y': labels}), np.float64)[..., 0]
    squares = a**2 / D
    error = squares.std(1) / squares.shape[1] ** 0.5
    assert (np.abs(squares.mean(1) - np.diagonal(fisher_gram(logits, PARAMS, DELTAS, BATCH))) < 5 * error).all()


def test_under_jit_on_eight_devices_and_in_bfloat16():
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    batch = jax.tree.map(lambda x: x[:48], BATCH)
    spread = jax.device_put(batch, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data')))
    gram = jax.jit(lambda deltas, batch: fisher_gram(logits, PARAMS, deltas, batch, minibatch=16))
    np.testing.assert_allclose(gram(DELTAS, spread), fisher_gram(logits, PARAMS, DELTAS, batch), rtol=1e-5, atol=1e-7)
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x, (PARAMS, DELTAS, BATCH))
    low = fisher_gram(logits, *half)
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(np.diagonal(low), np.diagonal(fisher_gram(logits, PARAMS, DELTAS, BATCH)), rtol=0.1)


def test_no_gradient_of_an_example_is_ever_held():
    width, n = 300, 512
    params = {'a': jnp.zeros((width, width)), 'b': jnp.zeros((width, 10))}
    function = lambda params, x: jnp.tanh(x @ params['a']) @ params['b']
    deltas = jax.tree.map(lambda x: jnp.zeros((3, *x.shape)), params)
    program = jax.jit(lambda deltas, batch: fisher_gram(function, params, deltas, batch, minibatch=64))
    temporary_bytes = program.lower(deltas, jnp.zeros((n, width))).compile().memory_analysis().temp_size_in_bytes
    assert temporary_bytes < 4 * n * dimension(params) / 50


@pytest.mark.parametrize(('change', 'words'), [
    ({'kind': 'true', 'function': log_prob}, 'wants a function that returns outputs'),
    ({'kind': 'empirical'}, 'a log-probability, a scalar'),
    ({'kind': 'fisher'}, "got 'fisher'"),
    ({'batch': {'x': BATCH['x'], 'y': BATCH['y'][:5]}}, 'same leading example axis'),
    ({'deltas': {'inner': DELTAS['inner'][..., :2], 'outer': DELTAS['outer']}}, 'shaped like params')])
def test_arguments_that_do_not_fit_are_refused(change, words):
    arguments = {'function': logits, 'params': PARAMS, 'deltas': DELTAS, 'batch': BATCH} | change
    with pytest.raises(ValueError, match=words):
        fisher_gram(**arguments)
