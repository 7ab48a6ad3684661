"""The fits of a linear transfer job by scikit-learn's LogisticRegression: at given weights, or at those that cross-validation chooses."""
import dataclasses
import time
import warnings
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.data.tables.sparse import is_sparse
from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS, assign
from transfer_jax.experiment.training.prepare import host_rows

FOLDS = 5


@dataclasses.dataclass
class Rows:
    """The rows of a target's split and of its sources, scaled as the job scales them; float64, CSR where the domains are and stay it."""
    domains: Domains
    scaling: Any
    target: str
    split: dict

    def __post_init__(self):
        self.x = {domain.name: self._scaled(domain.inputs) for domain in self.domains.domains}
        self.sources = [name for name in self.domains.names if name != self.target]

    def _scaled(self, inputs):
        x, scaling = host_rows(inputs, self.scaling.rows), self.scaling
        if is_sparse(x) and not np.asarray(scaling.mean).any():
            return scipy.sparse.csr_array(x.multiply(1 / np.asarray(scaling.scale, np.float64)[None]))
        x = x.toarray() if is_sparse(x) else x
        return ((x - np.asarray(scaling.mean)) / np.asarray(scaling.scale)).astype(np.float64).reshape(len(x), -1)

    def labels(self, name):
        """Of a domain."""
        return self.domains[name].labels

    def training(self, own, weights):
        """(x, y, sample weights) of rows `own` of the target and of the sources at weights [K]."""
        used = [(name, weight) for name, weight in zip(self.sources, weights, strict=True) if weight > 0]
        x = [self.x[self.target][own], *(self.x[name] for name, _ in used)]
        stack = scipy.sparse.vstack if is_sparse(x[0]) else np.concatenate
        y = np.concatenate([self.labels(self.target)[own], *(self.labels(name) for name, _ in used)])
        return stack(x), y, np.concatenate([np.ones(len(own)), *(np.full(len(self.labels(name)), weight) for name, weight in used)])


def model_of(rows, own, weights, prior, tolerance):
    """The estimator at a prior: C = 1 / prior, 2 / prior where there are two classes."""
    x, y, weight = rows.training(own, weights)
    strength = (2 if len(rows.domains.classes) == 2 else 1) / prior
    with threadpool_limits(1, 'blas'), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # where 5000 iterations are too few
        return LogisticRegression(C=strength, tol=tolerance, max_iter=5000).fit(x, y, sample_weight=weight)


def fitted(rows, weights, prior, tolerance):
    """(accuracy on the test rows, seconds of CPU) of a fit at weights [K] and a prior."""
    began = time.process_time()
    model = model_of(rows, np.array(rows.split['train']), weights, prior, tolerance)
    seconds, test = time.process_time() - began, rows.split['test']
    return model.score(rows.x[rows.target][test], rows.labels(rows.target)[test]), seconds


def cross_validated(rows, priors):
    """(accuracy, seconds of CPU) of one weight and one prior by the smallest log-loss on folds of the target's training rows."""
    began, train = time.process_time(), np.array(rows.split['train'])
    labels = rows.labels(rows.target)[train]
    fold = assign(labels[None], FOLDS, stratified=True)[0]
    losses = {}
    for weight in GLOBAL_WEIGHTS:
        for prior in priors:
            losses[weight, prior] = np.mean(np.concatenate([_losses(rows, train, labels, fold == number, weight, prior)
                                                            for number in range(fold.max() + 1)]))
    weight, prior = min(losses, key=losses.get)
    score, _ = fitted(rows, [weight] * len(rows.sources), prior, 1e-4)
    return score, time.process_time() - began


def _losses(rows, train, labels, out, weight, prior):
    model = model_of(rows, train[~out], [weight] * len(rows.sources), prior, 1e-4)
    log_p = model.predict_log_proba(rows.x[rows.target][train[out]])
    return -log_p[np.arange(out.sum()), np.searchsorted(model.classes_, labels[out])]
