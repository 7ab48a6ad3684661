"""What the transfer job keeps: of a method on a target its record and outputs on the test rows, of a target its plan and budget curve."""
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from transfer_jax.evidence import COMMON_BIAS, DOUBT, LESS, ONE_WEIGHT, TEMPERATURE
from transfer_jax.experiment.data.splits import Split
from transfer_jax.experiment.job import Job
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import SHORTFALLS
from transfer_jax.experiment.methods.registry import METHODS, NEED_GRAM
from transfer_jax.experiment.planned import plan_record
from transfer_jax.experiment.results import FRACTIONS, SCORE_PART, pareto, record
from transfer_jax.experiment.scores import predictions
from transfer_jax.experiment.scores.predictions import Block
from transfer_jax.runtime.counts import plural
from transfer_jax.runtime.store import UNFINISHED

SHARED = ('target_only', 'each_source', 'middle', 'folds', 'trial_', 'global_', 'path_')  # how the names of a Lab's own fits begin
DECIDED_BY = {'common_bias': COMMON_BIAS, 'shortfalls': [LESS, *SHORTFALLS], 'one_weight': list(ONE_WEIGHT), 'temperature': TEMPERATURE,
              'doubt': DOUBT}  # the constants that G's weights are decided by


def keep_outcome(job: Job, lab: Lab, name: str) -> dict[str, Any]:
    """The record of a method: the stored one, or where that is absent, lacks a score or its outputs, or its weights were decided by other
    constants, a new one, from fits that are stored already as far as they are."""
    place, keep, of = f'methods/{name}', job.config.transfer.predictions, DECIDED_BY if name in NEED_GRAM else None
    stored = dict(lab.store.record(place) or {})
    current = stored.pop('of', None) == of and bool(stored)
    if current and set(job.metrics) <= set(stored[SCORE_PART][0]) and (lab.store.has_arrays(place) or not keep):
        return stored
    outcome = METHODS[name](lab)
    needs_gram = bool(set(job.methods) & set(NEED_GRAM))
    made = record(lab, outcome, lab.measure_sources()[0] if needs_gram else None, job.metrics)
    outputs = [out[rows] for out, rows in zip(outcome.outputs, test_rows(lab.splits), strict=True)]
    lab.store.save(place, {'outputs': np.asarray(outputs, np.float32)} if keep else None, made if of is None else {**made, 'of': of})
    return made


def test_rows(splits: Sequence[Split]) -> list[np.ndarray]:
    """The test rows [m] of every seed: as many in each."""
    return [getattr(split, SCORE_PART) for split in splits]


def keep_plan(lab: Lab, measured: bool) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(plan, budget curve) of a target: the stored ones, and where these are absent or of other fits (made_of), new ones.

    measured: whether the run measures G; where it does not, what is not stored is None.
    """
    stored = {name: lab.store.record(name) or {} for name in ('plan', 'budget')}
    of = made_of(lab)
    found = {name: record['value'] if record.get('of') == of else None for name, record in stored.items()}
    if not measured or None not in found.values():
        return found['plan'] if measured else None, found['budget']
    made = {'plan': plan_record(lab), 'budget': pareto(lab.measure_sources()[0], lab.costs)}
    of = made_of(lab)  # the plan may have trained fits of its own
    for name, value in made.items():
        lab.store.save(name, None, {'of': of, 'value': value})
    return made['plan'], made['budget']


def made_of(lab: Lab) -> dict[str, Any]:
    """What a plan and a budget curve are made of: the records of the fits that G and the folds' choice stand on, costs, and constants."""
    digest = hashlib.sha256()
    for name in (name for name in lab.store.names() if name.startswith(SHARED)):
        digest.update(json.dumps([name, lab.store.record(name)]).encode())
    return {'fits': digest.hexdigest(), 'costs': list(lab.costs), 'parts': list(FRACTIONS), **DECIDED_BY}


def leftover_lines(job: Job) -> list[str]:
    """A line for each target whose folder has checkpoints of fits that no method of the run asked for."""
    stores = {job.domains.names[target]: job.store(target) for target in job.targets}
    return [f'target {name}: no method of this run goes on with the unfinished {plural(len(names), "fit", "fits")} {", ".join(names)}; '
            f'run their methods too, or delete {store.directory}/*{UNFINISHED}'
            for name, store in stores.items() if (names := store.unfinished())]


def write_predictions(job: Job) -> None:
    """Writes predictions.parquet of all methods on all targets, from what is stored."""
    names = [job.domains.names[target] for target in job.targets]
    predictions.write_predictions(job.workdir / predictions.NAME, blocks(job), names, job.methods, job.domains.classes)


def blocks(job: Job) -> Iterator[Block]:
    """The Blocks of the targets, one after the other, each method in turn."""
    width = 1 if job.domains.classes is None else len(job.domains.classes)
    seeds = range(job.config.seed, job.config.seed + job.config.seeds)
    for target in job.targets:
        name, labels = job.domains.names[target], np.asarray(job.domains.domains[target].labels)
        store, rows = job.store(target), test_rows(job.splits[name])
        abstract = {'outputs': jax.ShapeDtypeStruct((len(rows), len(rows[0]), width), np.float32)}
        for method in job.methods:
            yield Block(target=name, method=method, seeds=seeds, rows=rows, labels=[labels[one] for one in rows],
                        outputs=store.load(f'methods/{method}', abstract)['outputs'])
