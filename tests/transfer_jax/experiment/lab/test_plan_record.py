"""What a run knows of its sources: replicates of G against explicit ones, what the folds favour, and the record of a lab."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import transfer_small as small

from transfer_jax.debias import debias_gram
from transfer_jax.experiment.lab.choice import Choice, choice_of
from transfer_jax.experiment.lab.exact import ExactLab
from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.replicates import fold_grams, replicates
from transfer_jax.experiment.plan_page import rows
from transfer_jax.experiment.planned import known, most, notes, plan_record, safe_choice, summary_line, typical
from transfer_jax.fisher import fisher_gram

SEEDS, PRIORS = 2, (10.0, 1.0)


@pytest.fixture(scope='module')
def lab(tmp_path_factory, compiled):
    """An ExactLab whose measurement and global fits are there."""
    lab = small.lab(tmp_path_factory.mktemp('plan'), small.blobs(), seeds=SEEDS, priors=PRIORS)
    lab.measure_sources(), lab.global_losses()
    return lab


@pytest.mark.parametrize('kind', ['true', 'gauss_newton'])
def test_a_replicate_is_fisher_gram_of_the_rows_outside_its_fold(kind):
    rng = np.random.default_rng(0)
    tree = lambda *shape: {'kernel': jnp.asarray(rng.normal(size=(*shape, 4, 3)), jnp.float32)}
    at, target, sources, folds, fold = tree(2), tree(2), tree(2, 2), tree(2, 3), np.arange(20).reshape(2, 10) % 3
    inputs = jnp.asarray(rng.normal(size=(2, 10, 4)), jnp.float32)
    result = fold_grams(lambda params, frozen, x: x @ params['kernel'], {}, at, target, sources, folds, inputs, jnp.asarray(fold),
                        kind=kind, d=12)
    for seed, number in np.ndindex(2, 3):
        deltas = sources['kernel'][seed] - folds['kernel'][seed, number][None]
        reference = fisher_gram(lambda params, x: x @ params, at['kernel'][seed], deltas, inputs[seed][fold[seed] != number], kind=kind)
        np.testing.assert_allclose(result[seed, number], reference, rtol=1e-4, atol=1e-5)


def test_replicates_of_a_lab_are_debiased_as_g_is_and_need_no_fit(lab, monkeypatch):
    choice_of(lab)  # what uowq trains
    monkeypatch.setattr(ExactLab, '_decide_and_solve', lambda *arguments: pytest.fail('another fit was solved'))
    grams, measurement = replicates(lab), lab.measure_sources()[0]
    assert grams.shape == (lab.folds.count, SEEDS, 2, 2)
    singles, on_folds = (lab.by_seed(fit.params)['head'] for fit in (lab.fit_singles(), lab.fits_of_noise()[1]))
    function = lambda params, x: x @ params['kernel'] + params['bias']
    for number, seed in ((0, 0), (3, 1)):
        of_fold = jax.tree.map(lambda x, s=seed, f=number: x[s, f], on_folds)
        deltas = jax.tree.map(lambda theirs, ours, s=seed: theirs[s] - ours[None], singles, of_fold)
        at = jax.tree.map(lambda x, s=seed: x[s], lab.fit_middle().params['head'])
        outside = lab.inputs(lab.train[seed][lab.folds.fold[seed] != number])
        raw = fisher_gram(function, at, deltas, outside, kind='true') / measurement.noise[seed]
        reference = debias_gram(raw, float(len(outside)), lab.sizes.astype(float), lab.count_params())
        np.testing.assert_allclose(grams[number, seed], reference, rtol=2e-3, atol=1e-5)
    plan_record(lab)


def test_the_record_of_a_lab(lab):
    plan = plan_record(lab)
    assert plan['names'] == ['same', 'wrong'] and plan['sizes'] == lab.sizes.tolist() and plan['labels'] == '4 labels a class'
    for seed, weights in zip(plan['seeds'], np.asarray(lab.measure_sources()[0].replace(shortfall=jnp.ones(SEEDS)).weights().weights),
                             strict=True):
        assert np.shape(seed['intervals']) == (2, 2) and seed['worth'] == pytest.approx(seed['weights'] @ lab.sizes)
        assert seed['interval'][0] <= seed['worth'] <= seed['interval'][1] and len(seed['verdicts']) == 2
        assert (np.array(seed['weights']) > 0).tolist() == (weights > 0).tolist()
        assert seed['notes'][-1] == f'the folds favour {seed["safe"]}'
    table, header = rows('target', plan)
    assert [row[0] for row in table] == ['same', 'wrong', 'all together'] and len(header) == len(table[0])


def test_the_decision_averages_what_the_folds_tried_by_their_evidence(lab):
    choice, losses = choice_of(lab), choice_of(lab).losses
    same = [f'one weight of {weight:g}' for weight in GLOBAL_WEIGHTS[1:]]
    assert choice.names == ('UOWQ', 'UOWQ x 0.25', 'target only', 'UOWQ x 4', 'UOWQ x 16', *same)
    np.testing.assert_allclose(losses[2].mean(1), lab.folds.loss(lab.folds.fit_alone()), rtol=1e-6)
    np.testing.assert_allclose(choice.weights[:5], choice.weights[0] * np.array([1, 0.25, 0, 4, 16])[:, None, None], rtol=1e-6)
    np.testing.assert_allclose(choice.probability.sum(0), 1, rtol=1e-6)
    for seed, number in enumerate(choice.favourite):
        alone = losses[:3, seed].mean(1).argmin() == 2
        assert number == 2 if alone else choice.probability[number, seed] < 1
        total = choice.weights[:, seed] @ lab.sizes
        part = choice.probability[:, seed] @ (total / (lab.target_size + total))
        assert choice.decision[seed] @ lab.sizes == pytest.approx(lab.target_size * part / (1 - part))


def test_without_folds_there_are_no_intervals_and_it_says_why(tmp_path, compiled):
    plan = plan_record(small.lab(tmp_path, small.blobs(), seeds=SEEDS, priors=PRIORS, max_folds=0))
    seed = plan['seeds'][0]
    assert seed['intervals'] is None and seed['safe'] is None and 'has no folds' in seed['notes'][0] == plan['missing']
    assert np.isfinite(seed['weights']).all() and 'no intervals: the target has no folds' in summary_line('a', plan)
    assert all(row[3] == '' for row in rows('a', plan)[0])


def test_the_record_has_the_gain_of_the_favourite_over_the_target_alone():
    losses = np.array([[[0.1, 0.9, 2.0, 1.0]], [[1.0, 2.0, 3.0, 2.0]]])
    choice = lambda *p: Choice(('UOWQ', 'target only'), np.zeros((2, 1, 1)), losses, np.array(p)[:, None], np.zeros((1, 1)))
    record = safe_choice(choice(0.6, 0.4), 0)
    assert record == {'safe': 'UOWQ', 'gain': [1.0, pytest.approx(scipy.stats.sem([0.9, 1.1, 1.0, 1.0]))]}
    assert safe_choice(choice(0, 1), 0)['gain'] == [0, 0]


def test_words_say_what_the_labels_cannot():
    """20 labels, sources of 100 rows: 'far' surely of no account, 'maybe' anything."""
    many = np.array([[0.0, 0.3], [0.0, 0.2], [0.0, 0.1]])
    record = known(np.array([0.0, 0.2]), many, np.array([100, 100]), 20, np.array([True, False]))
    half = scipy.stats.t.ppf(0.975, 2) * np.sqrt(2 / 3 * 0.02)
    np.testing.assert_allclose(record['intervals'], [[0, 0], [0, 0.2 + half]])
    assert record['verdicts'] == ['harms', 'cannot tell'] and record['worth'] == pytest.approx(20)
    record |= {'safe': 'target only', 'gain': [0, 0]}
    sentences = notes(record, ['far', 'maybe'], np.array([100, 100]), 20, '2 labels a class')
    assert sentences == ['these 2 labels a class cannot say whether source maybe helps (weight 0 to 0.7)', 'the folds favour target only']
    plan = {'names': ['far', 'maybe'], 'sizes': [100, 100], 'target_size': 20, 'labels': '2 labels a class', 'missing': None,
            'seeds': [record] * 3}
    assert summary_line('mnist', plan) == ('target mnist: these 2 labels a class cannot say whether source maybe (weight 0 to 0.7) helps; '
                                           'the folds favour target only (3 of 3 seeds)')
    assert typical(plan)['verdicts'] == record['verdicts']
    assert most(['helps', 'harms']) == 'cannot tell'
