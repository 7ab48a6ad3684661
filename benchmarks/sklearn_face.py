"""The estimators for scikit-learn on real domains: accuracy beside the target alone, all sources, and one weight by folds.

    python -m benchmarks.sklearn_face --data transfer= --data digits4=digits4_16x16.npz --data office_caltech=FOLDER

Every domain is the target once, with five labels a class. Data sets and scaling are those of configs/NAME.py; a row is a vector. Without a
path the data are those that the config has itself: the embedded digits of configs/transfer.py.
"""
import argparse
import importlib
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from transfer_jax.evidence import ALONE, ONE_WEIGHT
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.data.splits import k_shot
from transfer_jax.experiment.training.prepare import fit_scaling, normalise
from transfer_jax.runtime.config import instance, override
from transfer_jax.sklearn import MultiSourceClassifier
from transfer_jax.sklearn.data import make_data
from transfer_jax.sklearn.linear import make_linear

NAMES = ('target only', 'all', 'cv_global', 'estimator', 'its plan alone', 'with LogisticRegression')


def main(arguments=None):
    """Prints a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', action='append', required=True, help='NAME=PATH, NAME of configs/, or NAME= for its own data')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first_seed', type=int, default=0)
    parser.add_argument('--max_per_domain', type=int, default=300)
    parser.add_argument('--wrapped', type=int, default=1, help='0: without the estimator of scikit-learn')
    options = parser.parse_args(arguments)
    for pair in options.data:
        name, path = pair.split('=', 1)
        print(f'\n{name}\n\n| target | ' + ' | '.join(NAMES) + ' | chosen |\n|' + '---|' * (len(NAMES) + 2), flush=True)
        config = instance(TransferConfig, importlib.import_module(f'configs.{name}').get_config())
        config = override(config, {'data.max_per_domain': options.max_per_domain, **({'data.path': path} if path else {})})
        domains, all_scores, seconds = load_domains(config.data, '.'), [], np.zeros(2)
        for target in range(len(domains.domains)):
            runs = [run(config, domains, target, options.first_seed + seed, options.wrapped) for seed in range(options.seeds)]
            scores, seconds = np.array([scores for scores, _, _ in runs]), seconds + sum(np.array(spent) for _, _, spent in runs)
            all_scores.append(scores)
            print(row(domains.names[target], scores), '|', ', '.join(choice for _, choice, _ in runs), '|', flush=True)
        print(row('mean', np.mean(all_scores, 0)), '| |')
        print('Seconds a fit: {:.1f}, with LogisticRegression {:.1f}.'.format(*seconds / options.seeds / len(domains.domains)))


def row(name, scores):
    """A line of the table: mean and standard error over seeds of scores [S, M]."""
    cells = [f'{mean:.3f} ± {error:.3f}' for mean, error in zip(scores.mean(0), scores.std(0, ddof=1) / len(scores) ** 0.5, strict=True)]
    return f'| {name} | ' + ' | '.join(cells)


def run(config, domains, target, seed, wrapped):
    """(accuracies on the target's test rows in the order of NAMES, what the folds of face chose, seconds of both fits)."""
    fit, sources, test = arrays(config, domains, target, seed)
    began = time.perf_counter()
    face = MultiSourceClassifier().fit(*fit, sources)
    middle = time.perf_counter()
    last = MultiSourceClassifier(LogisticRegression(max_iter=300, tol=1e-3)).fit(*fit, sources) if wrapped else face
    seconds = middle - began, time.perf_counter() - middle
    none, optimal, one, everything = by_candidate(face, fit, sources, test)
    return (none, everything, one, face.score(*test), optimal, last.score(*test)), face.choice_, seconds


def arrays(config, domains, target, seed):
    """(X, y) of the target's training rows, {source: (X, y)}, and (X, y) of its test rows, scaled by the sources."""
    others = [domain for number, domain in enumerate(domains.domains) if number != target]
    scaling = fit_scaling(others, rows=config.data.rows, columns=config.data.columns, mean=config.data.mean, std=config.data.std)
    prepared = lambda domain: np.asarray(normalise(domain.inputs, scaling), float).reshape(len(domain), -1)
    x, labels = prepared(domains.domains[target]), domains.domains[target].labels
    split = k_shot(labels, shots=config.data.shots, validation=config.data.validation, test=None, seed=seed, classes=domains.classes)
    part = lambda rows: (x[rows], labels[rows])
    return part(split.train), {other.name: (prepared(other), other.labels) for other in others}, part(split.test)


def by_candidate(face, fit, sources, test):
    """Accuracies at no source, the weights of G, the best of no source and one weight by folds, and all; the ridge is the face's."""
    x, y = zip(fit, *sources.values(), strict=True)
    data, found = make_data(list(x), list(y), len(face.classes_), 5, None), face.cv_results_
    number = {name: number for number, name in enumerate(found['candidate'])}
    same = [number[ALONE], *(number[f'one weight of {weight:g}'] for weight in ONE_WEIGHT)]
    best, linear = same[np.argmax(found['mean_test_score'][same])], make_linear(data, face.ridge_)
    fits = [linear.fit(data, found['weights'][number]) for number in (number[ALONE], 0, best, -1)]
    return [np.mean((test[0] @ coefficients.T + intercepts).argmax(1) == test[1]) for coefficients, intercepts in fits]


if __name__ == '__main__':
    main()
