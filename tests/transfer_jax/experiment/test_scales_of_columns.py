"""What a job decides of its data before it trains: whether columns are standardised, and which methods serve the task."""
import dataclasses

import numpy as np
import pytest

from transfer_jax.experiment import checks
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.scales import resolve_columns
from transfer_jax.runtime.errors import UserError

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


def domains_of(*inputs, classes=('0', '1')):
    labels = lambda x: np.arange(len(x)) % 2 if classes else np.arange(len(x), dtype=np.float32)
    return Domains(domains=tuple(Domain(name=f'd{k}', inputs=x, labels=labels(x).astype(np.int32 if classes else np.float32))
                                 for k, x in enumerate(inputs)), classes=classes)


@pytest.mark.parametrize(('scale', 'word'), [
    (1e-6, 'rows have a norm of 2'), (np.array([1, 1, 1, 1e6, 1, 1]), 'column 3 has a spread of'), (1e5, 'rows have a norm of')])
def test_scales_that_no_learning_rate_fits_are_standardised_and_said(scale, word):
    domains = domains_of((X * scale).astype(np.float32), (X[::-1] * scale).astype(np.float32))
    columns, (line,) = resolve_columns('auto', 'none', domains)
    assert columns == 'standard' and word in line and 'config.data.columns' in line
    columns, (line,) = resolve_columns('none', 'none', domains)
    assert columns == 'none' and word in line and "'standard' would" in line
    assert resolve_columns('standard', 'none', domains) == ('standard', ())


def test_ordinary_scales_stay_without_a_word_as_do_rows_that_are_divided_by_their_norm():
    sparse = np.where(np.random.default_rng(1).random((40, 300)) < 0.02, 1, 0).astype(np.float32)
    for domains in (domains_of(X, 30 * X), domains_of(sparse, sparse[::-1]), domains_of(np.zeros_like(X), np.zeros_like(X))):
        assert resolve_columns('auto', 'none', domains) == ('none', ())
    assert resolve_columns('auto', 'l2', domains_of(1e-6 * X, 1e-6 * X)) == ('none', ())
    images = np.zeros((4, 8, 8, 1), np.uint8)
    assert resolve_columns('auto', 'none', domains_of(images, images)) == ('none', ())


def test_methods_that_cannot_serve_a_regression_are_left_out_with_a_line():
    config = TransferConfig()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, task='regression'))
    methods, notes = checks.methods_of(config)
    why = 'is left out: it needs classes, and config.data.task = "regression"'
    assert notes == tuple(f'{name} {why}' for name in ('h_ensemble', 'mcw', 'wadn'))
    assert set(config.transfer.methods) - set(methods) == {'h_ensemble', 'mcw', 'wadn'}
    only = dataclasses.replace(config, transfer=dataclasses.replace(config.transfer, methods=('wadn',)))
    with pytest.raises(UserError, match=r'wadn is left out: it needs classes.* and no other is named'):
        checks.methods_of(only)


def test_data_of_one_class_are_refused():
    one = Domains(domains=tuple(Domain(name=name, inputs=X, labels=np.zeros(40, np.int32)) for name in 'ab'), classes=('only',))
    with pytest.raises(UserError, match="one class, 'only'"):
        checks.check_domains(TransferConfig(), one)
