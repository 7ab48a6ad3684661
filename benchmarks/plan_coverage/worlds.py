"""Worlds whose G is known, and how the plan's intervals and verdicts do in them."""
import dataclasses
import tempfile
import types

import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.evidence import COMMON_BIAS
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.experiment.job import prepare
from transfer_jax.experiment.planned import known, plan_record
from transfer_jax.knowledge import HARMS, HELPS, MUCH, NONE, NOTHING, UNKNOWN
from transfer_jax.runtime.config import defaults, instance, override
from transfer_jax.runtime.paths import make_folder, path_of
from transfer_jax.weights import source_weights

SIZE, FOLDS, TARGET = 300, 5, 50
BIASES = {'same, near, far': (0.0, 1.0, 20.0), 'one near': (0.3,), 'all far': (5.0, 5.0, 5.0), 'all the same': (0.0, 0.0, 0.0)}
FEATURES, CLASSES = 6, 3
SHIFTS = {'same': 0.0, 'near': 0.2, 'middle': 0.5, 'far': 2.0}


@dataclasses.dataclass(frozen=True)
class Tally:
    """One entry a source and world: whether weight and worth were covered [P], the verdicts [P], and the true worth over N0 [P]."""
    weight: np.ndarray
    worth: np.ndarray
    verdicts: np.ndarray
    truth: np.ndarray

    def row(self, *names):
        """A line of the table; wrongly: of the verdicts 'helps', sources that are worth less than NONE, and of 'harms', more than MUCH."""
        harms = np.isin(self.verdicts, (HARMS, NOTHING))
        part = lambda wrong, of: f'{wrong[of].mean():.2f} of {of.sum()}' if of.any() else ''
        shares = [f'{np.mean(which):.2f}' for which in (self.verdicts == HELPS, harms, self.verdicts == UNKNOWN)]
        cells = [*names, with_error(self.weight), with_error(self.worth), *shares, part(self.truth < NONE, self.verdicts == HELPS),
                 part(self.truth > MUCH, harms)]
        return '| ' + ' | '.join(map(str, cells)) + ' |'


def with_error(hits):
    """Mean and standard error of hits."""
    return f'{np.mean(hits):.2f} ± {np.std(hits) / len(hits) ** 0.5:.2f}'


def tally(truth, records, sizes, target_size):
    """The Tally of records [P] of known() whose true weights are [P, K]."""
    slack = 1e-3  # an interval at its bound may have no width
    inside = lambda value, pair: (pair[..., 0] - slack <= value) & (value <= pair[..., 1] + slack)
    pairs, totals = (np.array([record[key] for record in records]) for key in ('intervals', 'interval'))
    return Tally(inside(truth, pairs).mean(1), inside(truth @ sizes, totals), np.array([record['verdicts'] for record in records]).ravel(),
                 (truth * sizes / target_size).ravel())


def gaussian(biases, d, worlds, seed=0):
    """The Tally of means of unit variance in d dimensions; biases: N0 G_kk of each source, in directions of their own."""
    rng, sources = np.random.default_rng(seed), len(biases)
    delta = rng.normal(size=(worlds, sources, d))
    delta *= np.sqrt(np.array(biases) / TARGET * d)[:, None] / np.linalg.norm(delta, axis=-1, keepdims=True)
    rows, fold, sizes = rng.normal(size=(worlds, TARGET, d)), np.arange(TARGET) % FOLDS, np.full(sources, float(SIZE))
    means = np.stack([rows.mean(1), *(rows[:, fold != number].mean(1) for number in range(FOLDS))])
    thetas = delta + rng.normal(size=delta.shape) / SIZE**0.5
    noise = np.square(means[1:] - means[1:].mean(0)).sum((0, 2)) * (FOLDS - 1) / FOLDS * TARGET / d
    product = lambda a: np.einsum('...kd,...ld->...kl', a, a) / d
    grams = product(thetas - means[:, :, None]) / noise[:, None, None]
    counts = np.array([TARGET, *(np.sum(fold != number) for number in range(FOLDS))], float)[:, None]
    weights = lambda gram: np.asarray(source_weights(float(TARGET), sizes, gram.astype(np.float32)).weights, float)
    *found, truth = weights(np.concatenate([np.asarray(debias_gram(grams, counts, sizes, d)), product(delta)[None]]))
    harmful = np.array(biases) > 1 + TARGET / SIZE
    records = [known(found[0][world], np.stack(found[1:])[:, world], sizes, TARGET, harmful) for world in range(worlds)]
    return tally(truth, records, sizes, TARGET)


def softmax(shots, seed, splits, allowance=COMMON_BIAS):
    """The Tally of splits of one target, by the job's own plan of exact fits. allowance: added to N0 G, as UOWQ does in the job."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(FEATURES + 1, CLASSES))
    thetas = {'target': own, **{name: own + shift * rng.normal(size=own.shape) for name, shift in SHIFTS.items()}}
    parts = {name: draw(rng, theta, 3000 if name == 'target' else SIZE) for name, theta in thetas.items()}
    x, p = parts['target'][0], parts['target'][2]
    deltas = np.stack([thetas[name] - own for name in SHIFTS])
    apart = np.einsum('nf,kfc->knc', x, deltas[:, :-1]) + deltas[:, None, -1]
    apart = np.sqrt(p) * (apart - np.sum(p * apart, -1, keepdims=True))
    gram = np.einsum('knc,lnc->kl', apart, apart) / len(x) / ((CLASSES - 1) * (FEATURES + 1))
    gram = gram.astype(np.float32) + allowance / (shots * CLASSES)
    truth = np.asarray(source_weights(shots * CLASSES, [SIZE] * len(SHIFTS), gram).weights, float)
    with tempfile.TemporaryDirectory() as folder:
        x, y = (np.concatenate([part[number] for part in parts.values()]) for number in (0, 1))
        np.savez(f'{folder}/data.npz', x=x.astype(np.float32), y=y, d=np.repeat(list(parts), [len(part[1]) for part in parts.values()]))
        config = override(instance(TransferConfig, defaults(TransferConfig)), {
            'data.path': f'{folder}/data.npz', 'targets': ('target',), 'seeds': splits, 'data.shots': shots, 'data.validation': 0,
            'train.solver': 'exact', 'transfer.methods': ('uowq_static',)})
        workdir = path_of(folder) / 'run'
        make_folder(workdir)
        job = prepare(config, workdir)
        plan = plan_record(job.lab(job.targets[0], types.SimpleNamespace(requested=False)))
    order = [list(SHIFTS).index(name) for name in plan['names']]
    return tally(np.tile(truth[order], (splits, 1)), plan['seeds'], np.array(plan['sizes']), plan['target_size'])


def draw(rng, theta, count):
    """(x [n, FEATURES], labels [n], probabilities [n, CLASSES]) of a softmax regression."""
    x = rng.normal(size=(count, FEATURES))
    z = x @ theta[:-1] + theta[-1]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return x, (rng.random((count, 1)) > p.cumsum(1)).sum(1).clip(max=CLASSES - 1), p
