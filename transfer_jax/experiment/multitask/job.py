"""The multi-task job: every method on every seed's split, chosen on validation, scored once on test."""
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.multitask import measures, splits, train
from transfer_jax.experiment.multitask.material import Material, make_material
from transfer_jax.experiment.multitask.methods.method import Method
from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.experiment.multitask.tasks import Tasks, from_domains
from transfer_jax.experiment.scores.absent import absent_classes
from transfer_jax.experiment.scores.metrics import CLASSES, LOSS_OF, LOSSES, VALUES, resolve
from transfer_jax.experiment.scores.metrics import METRICS as SCORES
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

MAX_NUMBERS = 2**29  # 2 GiB


def multitask(section: Any, domains: Domains | Tasks) -> dict[str, Any]:
    """The results of a config section (transfer_jax.experiment.multitask.config) on Domains, or on Tasks: a dict of plain numbers
    and lists.

    {'measure', 'metrics', 'names', 'seeds', 'classes', 'positive', 'notes', 'methods': {name: {'test', 'test_by_task', 'validation': [S] of
    the main score each, 'scores': {score: {'test', 'test_by_task': [S]}}, 'calibration', 'chosen_by', 'chosen': [S] of {'variant', 'decay',
    'step'}, 'weights': W [T, T] of the first seed's choice or None, 'seconds'}}}. 'test' is over all examples, 'test_by_task' the mean
    over tasks that the score has a value of. Validation alone chooses variant, decay and step: by the main score, the first of
    section.metrics, and among equals by the loss. Raises UserError before anything is trained.
    """
    return solve(section, domains)[0]


def solve(section: Any, domains: Domains | Tasks) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(the results of `multitask`, {method: outputs [S, T, m, C] on the rows of the test Part})."""
    tasks = domains if isinstance(domains, Tasks) else from_domains(domains)
    if len(tasks.names) < 2:
        raise UserError(f'multi-task learning needs 2 tasks or more; {tasks.names[0]!r} is alone')
    metrics = resolve(section.metrics, VALUES if tasks.classes is None else CLASSES, 'multitask.metrics')
    settings = train.Settings(hidden=tuple(section.hidden), steps=section.steps, batch=section.batch, learning_rate=section.learning_rate)
    check_size(section, tasks)
    seeds = tuple(section.seeds)
    parts = splits.split(tasks, seeds, section.train, section.validation)
    made = {name: one_method(METHODS[name], tasks, parts, seeds, settings, section.decay, metrics) for name in section.methods}
    two = tasks.classes is not None and len(tasks.classes) == 2
    facts = {'measure': SCORES[metrics[0]].label, 'metrics': list(metrics), 'names': list(tasks.names), 'seeds': list(seeds),
             'classes': tasks.classes and list(tasks.classes), 'positive': tasks.classes[measures.positive_of(tasks)] if two else None,
             'notes': list(lacking(tasks, parts['test'], metrics))}
    return {**facts, 'methods': {name: entry for name, (entry, _) in made.items()}}, {name: outputs for name, (_, outputs) in made.items()}


def lacking(tasks: Tasks, part: splits.Part, metrics: Sequence[str]) -> tuple[str, ...]:
    """A line, or none, on test rows of tasks that lack a class."""
    of_tasks = dict(zip(tasks.names, zip(*measures.labels_of(tasks, part), strict=True), strict=True))
    return absent_classes(of_tasks, tasks.classes, metrics, 'task')


def check_size(section: Any, tasks: Tasks) -> None:
    """Raises UserError where UOWQ's second moments of the heads need more than MAX_NUMBERS numbers."""
    width = section.hidden[-1] if section.hidden else tasks.inputs[0].size
    d = (width + 1) * (1 if tasks.classes is None else len(tasks.classes))
    if any('uowq' in name for name in section.methods) and len(tasks.names) * d**2 > MAX_NUMBERS:
        raise UserError(f'config.multitask.methods: uowq needs {counted(len(tasks.names), "matrix", "matrices")} of {d} x {d} for '
                        f'heads on {counted(width, "feature")}; '
                        f'take a narrower last layer in config.multitask.hidden = {tuple(section.hidden)}, or leave it out')


def one_method(variants: Mapping[str, Method], tasks: Tasks, parts: Mapping[str, splits.Part], seeds: tuple[int, ...],
               settings: train.Settings, decays: Sequence[float], metrics: Sequence[str]) -> tuple[dict[str, Any], np.ndarray]:
    """(the entry of one method in the results, its outputs on the test rows), from all its variants {name: Method} and decays."""
    start = time.perf_counter()
    material, best = make_material(tasks, parts['train']), None
    labels, positive = measures.labels_of(tasks, parts['validation']), measures.positive_of(tasks)
    names = metrics[0], LOSS_OF[SCORES[metrics[0]].task]
    outputs = 1 if tasks.classes is None else len(tasks.classes)
    for variant, method in variants.items():
        trainer = train.make_trainer(method, settings, material.inputs.shape[1], len(tasks.names), outputs)
        outputs_of = measures.outputs_of(method.shared)
        for decay in decays:
            for step, params, weights in checkpoints(method, trainer, material, parts['train'], seeds, decay, settings):
                on = lambda part, params=params, of=outputs_of: np.asarray(of(params, material, parts[part]))
                found = measures.over_all(measures.trimmed(on('validation'), parts['validation']), labels, names, positive)
                best = choose(best, found, names, {'variant': variant, 'decay': decay, 'step': step}, weights, lambda on=on: on('test'))
    entry = {**measures.test_scores(tasks, parts['test'], best.outputs, metrics), 'validation': [one[names[0]] for one in best.found],
             'chosen_by': names[0], 'chosen': list(best.settings), 'weights': None if best.weights is None else best.weights.tolist()}
    return {**entry, 'seconds': time.perf_counter() - start}, best.outputs


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """For each seed the try that is best on validation: found, its scores there; settings, its variant, decay and step; outputs
    [S, T, m, C] on test. weights: W of the first seed's, or None."""
    found: tuple[dict[str, float | None], ...]
    settings: tuple[dict[str, Any], ...]
    outputs: np.ndarray
    weights: np.ndarray | None


def choose(best: Choice | None, found: Sequence[dict[str, float | None]], names: tuple[str, str], settings: dict[str, Any],
           weights: np.ndarray | None, outputs: Callable[[], np.ndarray]) -> Choice:
    """The Choice after one more try: it takes the place of the best where its main score is better, or as good with a smaller loss.

    found [S]: the try's scores `names`, (main, loss), on validation; None is never better. outputs(): computed only where it is better.
    """
    if best is None:
        return Choice(found=tuple(found), settings=(settings,) * len(found), outputs=outputs(), weights=weights)
    value = lambda one, name: -np.inf if one[name] is None else one[name] * (1 if (LOSSES | SCORES)[name].higher else -1)
    key = lambda one: [np.nan_to_num(value(one, name), nan=-np.inf, posinf=np.inf, neginf=-np.inf) for name in names]
    is_better = np.array([key(new) > key(old) for new, old in zip(found, best.found, strict=True)])
    if not is_better.any():
        return best
    pick = lambda new, old: tuple(one if better else other for one, other, better in zip(new, old, is_better, strict=True))
    return Choice(found=pick(found, best.found), settings=pick((settings,) * len(found), best.settings),
                  outputs=np.where(is_better[:, None, None, None], outputs(), best.outputs),
                  weights=weights if is_better[0] else best.weights)
