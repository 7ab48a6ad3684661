"""Sparse features from file to result: as dense ones, and G in closed form is that of Fisher products."""
import dataclasses

import jax
import numpy as np
import pytest
import scipy.sparse
import transfer_small as small
from sections import load

from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.experiment.scales import resolve_columns
from transfer_jax.experiment.training.prepare import fit_scaling
from transfer_jax.runtime.config import override

PRIORS, SEEDS = (10.0, 1.0), 2


def domains_of(sparse):
    """Three domains whose features are few, as arrays or CSR."""
    plain = small.blobs(features=30)
    few = np.random.default_rng(0).random((450, 30)) < 0.08
    inputs = lambda domain: (np.abs(domain.inputs) * few[:len(domain)]).astype(np.float32)
    wrap = scipy.sparse.csr_array if sparse else np.asarray
    domains = tuple(dataclasses.replace(domain, inputs=wrap(inputs(domain))) for domain in plain.domains)
    return Domains(domains=domains, classes=plain.classes)


def scaling_of(domains):
    return fit_scaling(domains.domains, rows='l2', columns='standard', mean=(0.0,), std=(1.0,))


@pytest.fixture(scope='module')
def labs(tmp_path_factory, compiled):
    """(Lab of arrays, Lab of CSR, which trains on no array)."""
    dense, sparse = domains_of(False), domains_of(True)
    make = lambda domains, **more: small.lab(tmp_path_factory.mktemp('lab'), domains, seeds=SEEDS, priors=PRIORS,
                                             scaling=scaling_of(domains), **more)
    of_sparse = dataclasses.replace(small.trainer(dense, resident=False), domains=sparse)
    return make(dense), make(sparse, trainer=of_sparse)


def test_scales_of_sparse_columns_are_those_of_dense_ones():
    dense, sparse = domains_of(False), domains_of(True)
    for ours, theirs in zip(jax.tree.leaves(scaling_of(sparse)), jax.tree.leaves(scaling_of(dense)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert resolve_columns('auto', 'none', sparse) == resolve_columns('auto', 'none', dense)


def test_outcomes_of_sparse_rows_are_those_of_dense_ones(labs):
    dense, sparse = (METHODS['cv_global'](lab) for lab in labs)
    assert scipy.sparse.issparse(labs[1].equations.rows_of(0, np.float64)[0].x)
    np.testing.assert_allclose(sparse.weights, dense.weights, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(sparse.outputs, dense.outputs, atol=1e-3)


def test_g_in_closed_form_is_that_of_fisher_products(labs):
    lab = labs[0]
    several = (lab.by_seed(fit.params) for fit in (lab.fit_singles(), lab.folds.fit_alone()))
    params = lab.fit_middle().params, lab.fit_alone().params, *several
    for ours, theirs in zip(lab.raw_gram(*params, kind='true', d=lab.count_params()),
                            Lab.raw_gram(lab, *params, kind='true', d=lab.count_params()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_file_of_scipy_stays_sparse_where_it_is_wanted(tmp_path):
    x, y = np.eye(6, 4), np.array(['a', 'b'] * 3)
    for name in 'pq':
        scipy.sparse.save_npz(tmp_path / f'{name}_x.npz', scipy.sparse.csc_matrix(x))
        np.save(tmp_path / f'{name}_y.npy', y)
    domains = load(tmp_path)
    assert domains.names == ('p', 'q') and np.array_equal(domains['q'].inputs, x)
    kept = load_domains(override(MultitaskConfig(), {'data.path': str(tmp_path)}).data, '.', sparse=True)
    assert kept.sparse and kept.dense()['p'].inputs.tolist() == x.tolist()
