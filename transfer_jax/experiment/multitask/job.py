"""The multi-task job: every method on every seed's split, chosen on validation, scored once on test."""
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.multitask import measures, splits, train
from transfer_jax.experiment.multitask.material import Material, make_material
from transfer_jax.experiment.multitask.methods.method import Method
from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.experiment.multitask.tasks import Tasks, from_domains
from transfer_jax.runtime.errors import UserError

MAX_NUMBERS = 2**29  # 2 GiB


def multitask(section: Any, domains: Domains | Tasks) -> dict[str, Any]:
    """The results of a config section (transfer_jax.experiment.multitask.config) on Domains, or on Tasks: a dict of plain numbers
    and lists.

    {'measure', 'names', 'seeds', 'methods': {name: {'test', 'test_by_task', 'validation': [S] each, 'chosen': [S] of {'variant', 'decay',
    'step'}, 'weights': W [T, T] of the first seed's choice or None, 'seconds'}}}. 'test' is over all examples, 'test_by_task' the mean
    over tasks. Validation alone chooses variant, decay and step. Raises UserError before anything is trained.
    """
    tasks = domains if isinstance(domains, Tasks) else from_domains(domains)
    if len(tasks.names) < 2:
        raise UserError(f'multi-task learning needs 2 tasks or more; {tasks.names[0]!r} is alone')
    settings = train.Settings(hidden=tuple(section.hidden), steps=section.steps, batch=section.batch, learning_rate=section.learning_rate)
    check_size(section, tasks)
    seeds = tuple(section.seeds)
    parts = splits.split(tasks, seeds, section.train, section.validation)
    records = {name: one_method(METHODS[name], tasks, parts, seeds, settings, section.decay) for name in section.methods}
    return {'measure': 'accuracy' if tasks.classes is not None else 'explained variance', 'names': list(tasks.names), 'seeds': list(seeds),
            'methods': records}


def check_size(section: Any, tasks: Tasks) -> None:
    """Raises UserError where UOWQ's second moments of the heads need more than MAX_NUMBERS numbers."""
    width = section.hidden[-1] if section.hidden else tasks.inputs[0].size
    d = (width + 1) * (1 if tasks.classes is None else len(tasks.classes))
    if any('uowq' in name for name in section.methods) and len(tasks.names) * d**2 > MAX_NUMBERS:
        raise UserError(f'config.multitask.methods: uowq needs {len(tasks.names)} matrices of {d} x {d} for heads on {width} features; '
                        f'take a narrower last layer in config.multitask.hidden = {tuple(section.hidden)}, or leave it out')


def one_method(variants: Mapping[str, Method], tasks: Tasks, parts: Mapping[str, splits.Part], seeds: tuple[int, ...],
               settings: train.Settings, decays: Sequence[float]) -> dict[str, Any]:
    """The entry of one method in the results, from all its variants {name: Method} and decays."""
    start = time.perf_counter()
    material = make_material(tasks, parts['train'])
    worst = {name: measures.worst_of(tasks, parts[name]) for name in ('validation', 'test')}
    tries = []
    for variant, method in variants.items():
        outputs = 1 if tasks.classes is None else len(tasks.classes)
        trainer = train.make_trainer(method, settings, material.inputs.shape[1], len(tasks.names), outputs)
        errors_of = measures.errors_of(method.shared)
        for decay in decays:
            for step, params, weights in checkpoints(method, trainer, material, parts['train'], seeds, decay, settings):
                score = {name: measures.measure(errors_of(params, material, parts[name]), worst[name]) for name in worst}
                tries.append({'variant': variant, 'decay': decay, 'step': step, 'weights': weights, **score})
    return choose(tries, len(seeds)) | {'seconds': time.perf_counter() - start}


def checkpoints(method: Method, trainer: train.Trainer, material: Material, part: splits.Part, seeds: tuple[int, ...], decay: float,
                settings: train.Settings) -> Iterator[tuple[int, Any, np.ndarray | None]]:
    """Yields (step, params, W of the first seed or None) after each segment of a training; leaves have a leading axis of seeds."""
    numbers = jnp.asarray(seeds, jnp.uint32)
    carry, tasks = trainer.start(numbers), part.count.shape[1]
    weights = jnp.broadcast_to(jnp.eye(tasks), (len(seeds), tasks, tasks))
    due = {round(fraction * train.SEGMENTS): number for number, fraction in enumerate(method.solve_at)}
    for segment in range(train.SEGMENTS):
        if segment in due:
            solution = trainer.solve(carry, material, part)
            weights = weights + (method.damping if due[segment] else 1.0) * (solution - weights)
        carry = trainer.advance(carry, weights, numbers, material, part, decay)
        mixture = None if method.mixture is None else np.asarray(weights[0])
        yield (segment + 1) * settings.steps // train.SEGMENTS, carry[0], mixture


def choose(tries: Sequence[Mapping[str, Any]], seeds: int) -> dict[str, Any]:
    """For each seed the try that is best on validation, scored on test; NaN is never best."""
    validation = np.array([one['validation'][0] for one in tries])
    best = np.argmax(np.where(np.isfinite(validation), validation, -np.inf), 0)
    pick = lambda part, number: [float(tries[best[seed]][part][number][seed]) for seed in range(seeds)]
    first = tries[best[0]]['weights']
    return {'test': pick('test', 0), 'test_by_task': pick('test', 1), 'validation': pick('validation', 0),
            'chosen': [{key: tries[number][key] for key in ('variant', 'decay', 'step')} for number in best],
            'weights': None if first is None else jax.device_get(first).tolist()}
