"""Transfer problems that take seconds: Gaussian classes or a linear regression, their trainer, and a Lab on them."""
import types

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.splits import k_shot
from transfer_jax.experiment.lab.exact import ExactLab
from transfer_jax.experiment.lab.lab import Control, Lab
from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.experiment.training.draws import Replicas
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.experiment.training.prepare import fit_scaling
from transfer_jax.experiment.training.trainer import Settings, Trainer, make_pool
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.store import Store

CLASSES, TARGET = ('a', 'b', 'c'), 1  # the target lies between its sources, so that numbers of domains are not those of sources
SETTINGS = {'batch': 16, 'sampling': 'shares', 'learning_rate': 0.05, 'prior': 1.0, 'segment': 10, 'augment': 'none', 'replicas': 64}

ROWS = np.array([3, 17, 29, 4])  # of the target that may be drawn
WEIGHTS, QUANTITIES = (0.3, 1.0, 2.0), (11.0, 4.0, 50.0)


def policy_of(weights=WEIGHTS, quantities=QUANTITIES):
    """A Policy of lists."""
    return Policy(weights=jnp.asarray(weights, jnp.float32), quantities=jnp.asarray(quantities, jnp.float32))


def replicas_of(seeds, rows=ROWS):
    """Replicas of these seeds that draw the same rows."""
    return Replicas(seed=jnp.asarray(seeds, jnp.uint32), target=jnp.full(len(seeds), TARGET, jnp.int32),
                 rows=jnp.tile(jnp.asarray(rows, jnp.int32), (len(seeds), 1)))


def blobs(sizes=(90, 240, 120), seed=0, noise=1.2, features=6):
    """Three Gaussian classes: domain 'same' and the target are alike, 'wrong' has its classes permuted."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(CLASSES), features))

    def one(name, size, shift):
        labels = rng.permutation(np.arange(size) % len(CLASSES)).astype(np.int32)
        inputs = (centres[(labels + shift) % len(CLASSES)] + noise * rng.normal(size=(size, features))).astype(np.float32)
        return Domain(name=name, inputs=inputs, labels=labels)
    return Domains(domains=(one('same', sizes[0], 0), one('target', sizes[1], 0), one('wrong', sizes[2], 1)), classes=CLASSES)


def lines(sizes=(40, 30, 50), seed=0, noise=0.5, features=3):
    """Linear regressions whose coefficients differ by domain."""
    rng = np.random.default_rng(seed)

    def one(name, size):
        inputs = rng.normal(size=(size, features)).astype(np.float32)
        labels = inputs @ rng.normal(size=features) + noise * rng.normal(size=size) + 1
        return Domain(name=name, inputs=inputs, labels=labels.astype(np.float32))
    return Domains(domains=tuple(map(one, ('one', 'target', 'two'), sizes)), classes=None)


def trainer(domains, *, resident=True, devices=1, kind='linear', hidden=(), trainable='all', **settings):
    """The Trainer of these domains on a mesh of so many devices."""
    outputs = len(domains.classes) if domains.classes else 1
    model = build(ModelConfig(kind=kind, hidden=hidden, trainable=trainable), domains.domains[0].inputs.shape[1:], outputs)
    return Trainer(model=model, frozen=model.init(stream_key(0, 'init'))[1], pool=make_pool(domains, 0, resident=resident), domains=domains,
                   settings=Settings(**{**SETTINGS, **settings}), mesh=make_mesh(devices=jax.devices()[:devices]))


def plain(domains):
    """The Scaling that leaves inputs as they are."""
    return fit_scaling(domains.domains, rows='none', columns='none', mean=(0.0,), std=(1.0,))


def lab(folder, domains, *, seeds=5, shots=4, **changes):
    """A Lab of domain TARGET, with the others as sources; with priors an ExactLab."""
    labels, sources = domains.domains[TARGET].labels, tuple(number for number in range(len(domains.names)) if number != TARGET)
    split = lambda seed: k_shot(labels, shots=shots, validation=shots, test=None, seed=seed, classes=domains.classes)
    parts = {'store': Store(folder), 'stop': types.SimpleNamespace(requested=False), 'target': TARGET, 'sources': sources,
             'splits': tuple(map(split, range(seeds))), 'first_seed': 0, 'scaling': plain(domains), 'epochs': 5.0, 'min_steps': 60,
             'control': Control(decisions=3, damping=0.5), 'max_folds': 4, 'trunk_trained': False, 'budget': 0.25,
             'costs': (1.0,) * len(sources)}
    make = ExactLab if 'priors' in changes else Lab
    return make(trainer=changes.pop('trainer', None) or trainer(domains), **{**parts, **changes})
