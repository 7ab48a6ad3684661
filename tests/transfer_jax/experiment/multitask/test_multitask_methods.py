"""The methods of multi-task learning against closed forms, an interior point and brute force."""
import itertools

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from transfer_jax.experiment.multitask.methods.cagrad import cagrad, worst_mixture
from transfer_jax.experiment.multitask.methods.equal import equal
from transfer_jax.experiment.multitask.methods.famo import famo
from transfer_jax.experiment.multitask.methods.gradnorm import gradnorm
from transfer_jax.experiment.multitask.methods.mgda import mgda, min_norm
from transfer_jax.experiment.multitask.methods.nash import bargain, nash
from transfer_jax.experiment.multitask.methods.pcgrad import pcgrad
from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.experiment.multitask.methods.uncertainty import uncertainty

KEY = jax.random.key(0)


def gradients(tasks, d, seed=0):
    return jnp.asarray(np.random.default_rng([seed, tasks]).standard_normal((tasks, d)), jnp.float32)


def direction(method, losses, grads, state=None):
    """The trunk's direction after one call; None stands for weights @ grads."""
    state = method.init(len(losses)) if state is None else state
    result, weights, _ = method.combine(state, losses, grads if method.gradients else None, KEY)
    return weights @ grads if result is None else result


def test_mgda_of_two_tasks_is_the_closed_form():
    for seed in range(5):
        one, other = grads = gradients(2, 3, seed)
        share = np.clip((other - one) @ other / ((one - other) @ (one - other)), 0, 1)  # Sener and Koltun, Algorithm 1
        v, residual = min_norm(grads @ grads.T)
        np.testing.assert_allclose(v, [share, 1 - share], atol=1e-4)
        assert residual < 1e-5
        np.testing.assert_allclose(direction(mgda(), jnp.ones(2), grads), 2 * (share * one + (1 - share) * other), atol=1e-3)


@pytest.mark.parametrize('tasks', [3, 4, 5])
def test_mgda_agrees_with_an_interior_point(tasks):
    grads = gradients(tasks, 4) + 0.5
    gram = np.asarray(grads @ grads.T, float)
    constraints = scipy.sparse.csc_matrix(np.vstack([np.ones(tasks), -np.eye(tasks)]))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    truth = clarabel.DefaultSolver(scipy.sparse.csc_matrix(np.triu(gram)), np.zeros(tasks), constraints, np.append(1.0, np.zeros(tasks)),
                                    [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(tasks)], settings).solve()
    v, _ = min_norm(jnp.asarray(gram, jnp.float32))
    assert abs(np.sum(v) - 1) < 1e-5 and np.min(v) >= 0
    assert v @ gram @ np.asarray(v) <= 2 * truth.obj_val * (1 + 1e-4) + 1e-5 * np.max(gram)


@pytest.mark.parametrize('tasks', [2, 5, 30])
def test_nash_solves_its_equation(tasks):
    grads = gradients(tasks, 50)
    gram = grads @ grads.T / 50
    alpha = bargain(gram, jnp.ones(tasks))
    np.testing.assert_allclose(alpha * (gram @ alpha), np.ones(tasks), atol=1e-4)
    assert np.min(alpha) > 0
    step = direction(nash(), jnp.ones(tasks), grads)
    gains = (grads @ step) * nash().combine(jnp.ones(tasks), jnp.ones(tasks), grads, KEY)[2]
    np.testing.assert_allclose(gains / np.mean(gains), np.ones(tasks), atol=1e-3)  # alpha_t g_t . d is the same for all


@pytest.mark.parametrize('tasks, points', [(2, 2001), (3, 201)])
@pytest.mark.parametrize('c', [0.3, 0.9])
def test_cagrads_dual_is_the_least_on_the_simplex(tasks, points, c):
    for seed in range(4):
        grads = np.asarray(gradients(tasks, 3, seed), float) + 0.3
        value = lambda w, g=grads: w @ g @ g.mean(0) + c * np.linalg.norm(g.mean(0)) * np.linalg.norm(w @ g)
        steps = np.linspace(0, 1, points)
        grid = [np.append(w, 1 - sum(w)) for w in itertools.product(steps, repeat=tasks - 1) if sum(w) <= 1 + 1e-9]
        w = np.asarray(worst_mixture(jnp.asarray(grads @ grads.T, jnp.float32), c), float)
        assert abs(w.sum() - 1) < 1e-5 and w.min() >= -1e-6
        assert value(w) <= min(map(value, grid)) + 1e-3


def test_pcgrad_of_two_conflicting_gradients_is_the_closed_form_and_symmetric():
    one, other = grads = jnp.asarray([[1.0, 0.0], [-1.0, 1.0]])
    dot = one @ other
    truth = one - dot / (other @ other) * other + other - dot / (one @ one) * one
    np.testing.assert_allclose(direction(pcgrad(), jnp.ones(2), grads), truth, atol=1e-6)
    np.testing.assert_allclose(direction(pcgrad(), jnp.ones(2), grads[::-1]), truth, atol=1e-6)
    agreeing = jnp.asarray([[1.0, 0.2], [0.3, 1.0]])
    np.testing.assert_allclose(direction(pcgrad(), jnp.ones(2), agreeing), agreeing.sum(0), atol=1e-6)


def test_pcgrad_of_three_gradients_is_one_of_the_orders():
    grads = np.asarray(gradients(3, 2, 3), float)

    def rest(i, order):
        g = grads[i].copy()
        for j in order:
            g -= min(g @ grads[j], 0) / (grads[j] @ grads[j]) * grads[j]
        return g
    choices = [[rest(i, order) for order in itertools.permutations([j for j in range(3) if j != i])] for i in range(3)]
    sums = np.array([sum(parts) for parts in itertools.product(*choices)])
    result = direction(pcgrad(), jnp.ones(3), jnp.asarray(grads, jnp.float32))
    assert np.abs(sums - np.asarray(result)).max(1).min() < 1e-5


def test_gradnorm_brings_gradients_to_one_length():
    method, grads, losses = gradnorm(alpha=0.0, learning_rate=0.01), jnp.diag(jnp.asarray([1.0, 2.0, 5.0])), jnp.ones(3)
    state = method.init(3)
    for _ in range(400):
        _, weights, state = method.combine(state, losses, grads, KEY)
    lengths = weights * jnp.asarray([1.0, 2.0, 5.0])
    np.testing.assert_allclose(lengths / lengths.mean(), np.ones(3), atol=0.08)  # rate times the largest relative length
    assert abs(float(weights.sum()) - 3) < 1e-4


def test_uncertainty_learns_log_variances_equal_to_log_losses():
    method, losses = uncertainty(learning_rate=0.1), jnp.asarray([0.2, 1.0, 7.0])
    state = method.init(3)
    for _ in range(2000):
        _, weights, state = method.combine(state, losses, None, KEY)
    np.testing.assert_allclose(state, np.log(losses), atol=1e-4)
    np.testing.assert_allclose(weights * losses, np.ones(3), atol=1e-4)


def test_famos_update_by_hand():
    method = famo(learning_rate=0.5, decay=0.1)
    _, weights, state = method.combine(method.init(2), jnp.asarray([2.0, 1.0]), None, KEY)
    np.testing.assert_allclose(weights, [2 / 3, 4 / 3], rtol=1e-5)  # z = (1/2, 1/2): z / L, of mean 1
    _, weights, state = method.combine(state, jnp.asarray([1.0, 1.0]), None, KEY)
    # log L fell by (log 2, 0); dz_1/dxi = (1/4, -1/4), so delta = (log 2 / 4, -log 2 / 4): the faster task loses weight
    np.testing.assert_allclose(state['xi'], [-np.log(2) / 8, np.log(2) / 8], rtol=1e-5)
    z = np.exp(state['xi']) / np.exp(state['xi']).sum()
    np.testing.assert_allclose(weights, 2 * z, rtol=1e-5)


def test_no_two_methods_coincide_by_accident():
    """uowq, single and pooled differ by what their losses are, not by how they combine them: theirs is equal's, by design."""
    losses, grads = jnp.asarray([0.5, 1.0, 3.0, 0.8]), gradients(4, 6)
    later = {'uncertainty': jnp.asarray([0.3, -0.2, 0.5, 0.0])}
    methods = {name: next(iter(variants.values())) for name, variants in METHODS.items()} | {'cagrad c 0.6': cagrad(0.6)}
    result = {name: direction(method, losses, grads, later.get(name)) for name, method in methods.items()}
    gradnorm_state = methods['gradnorm'].combine(methods['gradnorm'].init(4), losses, grads, KEY)[2]
    result['gradnorm'] = direction(methods['gradnorm'], losses, grads, gradnorm_state)  # its first step is equal's
    unit = {name: np.asarray(d) / np.linalg.norm(d) for name, d in result.items()}
    same = {'equal', 'single', 'pooled', 'uowq', 'uowq_static'}
    for one, other in itertools.combinations(unit, 2):
        assert (np.abs(unit[one] - unit[other]).max() < 1e-6) == ({one, other} <= same), (one, other)


@pytest.mark.parametrize('name', sorted(METHODS))
def test_without_shared_parameters_every_method_is_finite(name):
    for method in METHODS[name].values():
        result, weights, _ = method.combine(method.init(3), jnp.ones(3), jnp.zeros((3, 0)) if method.gradients else None, KEY)
        assert result is None or result.shape == (0,)
        assert np.isfinite(weights).all() and np.min(weights) > 0


def test_equal_is_the_sum():
    grads = gradients(3, 4)
    np.testing.assert_allclose(direction(equal(), jnp.ones(3), grads), grads.sum(0), rtol=1e-5)
