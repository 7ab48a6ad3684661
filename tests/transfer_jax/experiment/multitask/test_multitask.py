"""Multi-task learning: masks, W against closed forms and known truths, seeds together and alone, the job."""
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import multitask as shipped
from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.multitask import network, splits, synthetic
from transfer_jax.experiment.multitask.config import Multitask
from transfer_jax.experiment.multitask.job import multitask, one_method
from transfer_jax.experiment.multitask.methods.equal import pooled
from transfer_jax.experiment.multitask.methods.mixture import task_weights
from transfer_jax.experiment.multitask.prior import estimates
from transfer_jax.experiment.multitask.quadratics import quadratics
from transfer_jax.experiment.multitask.tasks import Tasks, from_domains, from_labels
from transfer_jax.experiment.multitask.train import Settings
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError

SCHOOL = pathlib.Path(__file__).parents[4] / '../shared/data/school/school.mat'
SOLVE = jax.jit(task_weights, static_argnums=1)
SECTION = {'methods': ('equal', 'uowq'), 'seeds': (3, 8), 'train': 0.6, 'validation': 0.25, 'hidden': (4,), 'steps': 40, 'batch': None,
           'learning_rate': 0.03, 'decay': (0.01,)}


def linear(heads, examples, noise, seed=0):
    """(inputs [T, n, d], labels [T, n]) of linear tasks, and the Quadratics of T linear models without their bias."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((len(heads), examples, heads.shape[1]))
    labels = np.einsum('tni,ti->tn', inputs, heads) + noise * rng.standard_normal(inputs.shape[:2])
    arrays = jnp.asarray(inputs, jnp.float32), jnp.asarray(labels, jnp.float32)
    params = network.init_params(jax.random.key(0), heads.shape[1], (), len(heads), 1)
    return *arrays, quadratics(params, *arrays, jnp.ones(labels.shape, bool))


def weighted_fit(weights, inputs, labels):
    """Heads [T, d] that minimise the weighted squared error, in float64."""
    inputs, labels, weights = (np.asarray(x, float) for x in (inputs, labels, weights))
    second, first = np.einsum('kni,knj->kij', inputs, inputs), np.einsum('kni,kn->ki', inputs, labels)
    return np.linalg.solve(np.einsum('tk,kij->tij', weights, second), (weights @ first)[..., None])[..., 0]


def test_a_missing_label_has_no_gradient_and_its_value_no_effect():
    rng = np.random.default_rng(0)
    inputs, has_label = rng.standard_normal((3, 5, 2)).astype(np.float32), rng.random((3, 5)) < 0.6
    params = network.init_params(jax.random.key(1), 2, (4,), 3, 1)
    for losses in (network.own_losses, lambda *args: jnp.sum(network.cross_losses(*args), 1)):
        total = lambda labels, losses=losses: jnp.sum(losses(params, jnp.asarray(inputs), labels, jnp.asarray(has_label)))
        slope = jax.grad(total)(jnp.asarray(rng.standard_normal((3, 5)), jnp.float32))
        assert (np.asarray(slope)[~has_label] == 0).all() and (np.asarray(slope)[has_label] != 0).all()


def test_nan_behind_a_mask_never_leaks():
    rng = np.random.default_rng(1)
    labels = rng.standard_normal((60, 3))
    labels[rng.random(labels.shape) < 0.4] = np.nan
    tasks = from_labels(rng.standard_normal((60, 4)), labels, 'abc')
    other = dataclasses.replace(tasks, labels=np.where(tasks.mask, tasks.labels, 1e9).astype(np.float32))
    section = Multitask(**SECTION | {'methods': ('pooled',), 'steps': 10})
    result = multitask(section, tasks)['methods']
    assert np.isfinite([result[name][key] for name in result for key in ('test', 'test_by_task', 'validation')]).all()
    clean = lambda results: {name: {key: x for key, x in entry.items() if key != 'seconds'} for name, entry in results.items()}
    assert clean(result) == clean(multitask(section, other)['methods'])


def test_domains_become_tasks_with_one_label_a_row():
    domains = synthetic.clustered(examples=5)
    tasks = from_domains(domains)
    assert tasks.names == domains.names and (tasks.mask.sum(1) == 1).all()
    for number, domain in enumerate(domains.domains):
        np.testing.assert_array_equal(tasks.inputs[tasks.mask[:, number]], domain.inputs)
        np.testing.assert_array_equal(tasks.labels[tasks.mask[:, number], number], domain.labels)


def test_splits_are_disjoint_cut_every_task_alike_and_differ_by_seed():
    tasks = from_domains(synthetic.clustered(examples=40))
    parts = splits.split(tasks, (0, 1), 0.75, 0.2)
    assert {name: set(part.count.ravel().tolist()) for name, part in parts.items()} == {'train': {24}, 'validation': {6}, 'test': {10}}
    rows = [np.concatenate([part.index[seed][part.label_mask()[seed]] for part in parts.values()]) for seed in (0, 1)]
    assert all(sorted(one) == list(range(480)) for one in rows) and not np.array_equal(*rows)


def test_cross_losses_are_every_heads_own_on_every_task():
    rng = np.random.default_rng(2)
    inputs, has_label = jnp.asarray(rng.standard_normal((3, 6, 2)), jnp.float32), jnp.asarray(rng.random((3, 6)) < 0.7)
    for outputs, labels in ((1, rng.standard_normal((3, 6)).astype(np.float32)), (4, rng.integers(0, 4, (3, 6)).astype(np.int32))):
        params = network.init_params(jax.random.key(3), 2, (5,), 3, outputs)
        params['heads'] = jnp.asarray(rng.standard_normal(params['heads'].shape), jnp.float32)
        result = network.cross_losses(params, inputs, jnp.asarray(labels), has_label)
        for head in range(3):
            same = params | {'heads': jnp.broadcast_to(params['heads'][head], params['heads'].shape)}
            np.testing.assert_allclose(result[head], network.own_losses(same, inputs, jnp.asarray(labels), has_label), rtol=1e-4, atol=1e-5)


def test_the_quadratic_of_classes_has_the_likelihoods_slope_and_curvature():
    rng = np.random.default_rng(4)
    inputs, labels = jnp.asarray(rng.standard_normal((1, 7, 2)), jnp.float32), jnp.asarray(rng.integers(0, 3, (1, 7)), jnp.int32)
    heads = jnp.asarray(rng.standard_normal((1, 3, 3)), jnp.float32)
    result = quadratics({'trunk': [], 'heads': heads}, inputs, labels, jnp.ones((1, 7), bool))
    total = lambda flat: 7 * network.task_loss([], flat.reshape(3, 3), inputs[0], labels[0], jnp.ones(7, bool))
    np.testing.assert_allclose(result.second[0], jax.hessian(total)(heads.ravel()), atol=1e-4)
    np.testing.assert_allclose(result.second[0] @ heads.ravel() - result.first[0], jax.grad(total)(heads.ravel()), atol=1e-4)


def test_the_shared_prior_is_that_which_the_tasks_were_drawn_from():
    rng = np.random.default_rng(5)
    heads = 0.3 * rng.standard_normal((400, 6))
    _, _, likelihoods = linear(heads, 20, 0.8)
    result = estimates(likelihoods)
    assert abs(result.variance / 0.64 - 1) < 0.06  # 4 standard errors: sqrt(2 / (400 (20 - 6)))
    assert abs(result.spread * 7 / (6 * 0.09) - 1) < 0.15  # of the d = 7 numbers of a head one, the bias, has no spread
    root = np.linalg.cholesky(np.asarray(likelihoods.second, float).sum(0)[:6, :6] / 8000)
    error = np.sum((np.asarray(result.z)[:, :6] - (heads - heads.mean(0)) @ root) ** 2, 1) / 7
    assert abs(np.mean(error) / np.mean(result.noise) - 1) < 0.25


def test_weights_of_two_tasks_are_the_closed_form():
    _, _, likelihoods = linear(np.array([[1.0, 0.0], [0.4, 0.3]]), 30, 0.5)
    result, weights = estimates(likelihoods), task_weights(likelihoods, 0.0)
    reference = 1 / (1 + 30 / result.variance * 2 * result.spread)  # w = 1 / (1 + N G), N = n / sigma^2, G = 2 spread
    np.testing.assert_allclose(weights, [[1, reference], [reference, 1]], rtol=1e-4)


def test_tasks_with_the_same_data_weigh_one_and_with_the_same_truth_are_pooled():
    heads = np.repeat(np.random.default_rng(6).standard_normal((1, 10)), 12, 0)
    inputs, labels, likelihoods = linear(heads, 100, 1.0)
    alike = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), likelihoods)
    weights = [np.asarray(SOLVE(likelihoods, detail), float) for detail in (0.0, 1.0)]
    error = lambda weights: np.mean(np.sum((weighted_fit(weights, inputs, labels) - heads) ** 2, 1))
    assert error(np.ones((12, 12))) < 0.2 * error(np.eye(12))
    for result, detail in zip(weights, (0.0, 1.0), strict=True):
        assert (np.diagonal(result) == 1).all() and error(result) < (1.6 if detail else 1.1) * error(np.ones((12, 12)))
        assert np.min(SOLVE(alike, detail)) > 0.9


def test_clusters_and_the_outlier_are_seen_and_heads_come_nearer_to_the_truth():
    errors, others, mates = {'uowq': [], 'single': [], 'pooled': [], 'clusters known': []}, [], []
    for seed in range(8):
        cluster, heads = synthetic.truth(seed)
        inputs, labels, likelihoods = linear(heads, 30, 1.0, seed)
        weights, same = np.asarray(SOLVE(likelihoods, 1.0), float), cluster[:, None] == cluster
        others.append(weights[~same].mean())
        mates.append(weights[same & ~np.eye(12, dtype=bool)].mean())
        for name, w in {'uowq': weights, 'single': np.eye(12), 'pooled': np.ones((12, 12)), 'clusters known': same}.items():
            errors[name].append(np.mean(np.sum((weighted_fit(w, inputs, labels) - heads) ** 2, 1)))
    assert np.mean(others) < 0.05 and np.mean(mates) > 0.3
    for name, factor in (('single', 0.6), ('pooled', 0.1)):  # less than this share of its error, by 3 standard errors
        gain = factor * np.array(errors[name]) - errors['uowq']
        assert gain.mean() > 3 * gain.std(ddof=1) / 8**0.5, name
    assert np.mean(errors['uowq']) < 2 * np.mean(errors['clusters known'])


def test_seeds_together_are_seeds_alone():
    method = pooled()  # draws, one program for all seeds, losses of every head on every task
    tasks, settings = from_domains(synthetic.clustered()), Settings(hidden=(4,), steps=40, batch=8, learning_rate=0.03)
    run = lambda seeds: one_method({'': method}, tasks, splits.split(tasks, seeds, 0.6, 0.25), seeds, settings, (0.01,),
                                   ('explained_variance',))[0]
    together, alone = run((3, 8)), run((8,))
    np.testing.assert_allclose(together['test'][1], alone['test'][0], atol=2e-4)
    assert together['chosen'][1] == alone['chosen'][0] and together['test'][0] != together['test'][1]


def test_without_a_trunk_pooled_and_single_are_least_squares_and_gradient_methods_are_single():
    domains = synthetic.clustered(seed=1)
    section = SECTION | {'methods': ('single', 'pooled', 'pcgrad'), 'seeds': (0,), 'hidden': (), 'steps': 600, 'decay': (0.0,),
                         'learning_rate': 0.1}
    result = multitask(Multitask(**section), domains)['methods']
    parts = splits.split(from_domains(domains), (0,), 0.6, 0.25)
    tasks = from_domains(domains)
    fits = {'single': np.eye(12), 'pooled': np.ones((12, 12)), 'pcgrad': np.eye(12)}
    own = lambda part: (np.concatenate([tasks.inputs[part.index[0]], np.ones((*part.index[0].shape, 1))], -1),
                        np.take_along_axis(tasks.labels, part.index[0].T, 0).T)
    inputs, labels = own(parts['test'])
    for name, weights in fits.items():
        errors = np.einsum('tni,ti->tn', inputs, weighted_fit(weights, *own(parts['train']))) - labels
        assert abs(1 - np.mean(errors**2) / labels.var() - result[name]['test'][0]) < 0.01
    np.testing.assert_allclose(result['pcgrad']['test'], result['single']['test'], rtol=1e-5)


def test_classes_are_learned_and_uowq_pools_tasks_that_are_alike():
    rng, domains = np.random.default_rng(9), []
    for number in range(4):
        inputs = rng.standard_normal((80, 3)).astype(np.float32)
        logits = inputs @ np.array([[3, 0, 0], [0, 3, 0], [0, 0, 3]]) * (-1 if number == 3 else 1)
        domains.append(Domain(name=f'{number}', inputs=inputs, labels=np.argmax(logits, 1).astype(np.int32)))
    domains = Domains(domains=tuple(domains), classes=('a', 'b', 'c'))
    section = SECTION | {'methods': ('uowq',), 'hidden': (), 'steps': 60, 'learning_rate': 0.1, 'train': 0.5}
    result = multitask(Multitask(**section), domains)
    assert result['measure'] == 'accuracy' and min(result['methods']['uowq']['test']) > 0.8
    weights = np.array(result['methods']['uowq']['weights'])
    assert weights[0, 1:3].min() > 5 * weights[0, 3]


def test_bad_tasks_are_refused_with_task_row_and_value():
    inputs, labels = np.zeros((4, 2), np.float32), np.array([[0, 1], [1, 0], [2, 1], [0, 0]], np.int32)
    mask = np.ones((4, 2), bool)
    with pytest.raises(UserError, match="task 'x': the label of row 2 is 2; it must be a class from 0 to 1"):
        Tasks(inputs=inputs, labels=labels, mask=mask, names=('x', 'y'), classes=('no', 'yes'))
    with pytest.raises(UserError, match="task 'y' has no label"):
        Tasks(inputs=inputs, labels=labels, mask=mask & [True, False], names=('x', 'y'), classes=None)
    with pytest.raises(UserError, match='needs 2 tasks or more'):
        multitask(Multitask(**SECTION), Domains(domains=synthetic.clustered().domains[:1], classes=None))
    with pytest.raises(UserError, match='uowq needs 12 matrices of 10001 x 10001'):
        multitask(Multitask(**SECTION | {'hidden': (10000,)}), synthetic.clustered())
    with pytest.raises(UserError, match=r'has 2 labels, none of them in the validation part of seed 3'):
        multitask(Multitask(**SECTION), synthetic.clustered(examples=2))


def test_the_shipped_config_obeys_the_rules():
    config = instance(MultitaskConfig, shipped.get_config())
    with pytest.raises(UserError, match='a multiple of 10'):
        override(config, {'multitask.steps': 45})
    with pytest.raises(UserError, match=r'config.multitask.hidden = \(0,\); allowed: a tuple of zero or more of: an integer, at least 1'):
        override(config, {'multitask.steps': 40, 'multitask.hidden': (0,)})


def test_the_schools_are_read_and_split():
    if not SCHOOL.is_file():
        pytest.skip('no school data at ../shared/data/school')
    from benchmarks.multitask import school
    tasks = from_domains(school(SCHOOL))
    parts = splits.split(tasks, (0,), 0.75, 0.2)
    assert tasks.labels.shape == (15362, 139) and sum(int(part.count.sum()) for part in parts.values()) == 15362
