"""What the transfer job keeps of a method on a target: its record and its outputs on the test rows; and their file for the user."""
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from transfer_jax.experiment.data.splits import Split
from transfer_jax.experiment.job import Job
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.registry import METHODS, NEED_GRAM
from transfer_jax.experiment.results import SCORE_PART, record
from transfer_jax.experiment.scores import predictions
from transfer_jax.experiment.scores.predictions import Block


def keep_outcome(job: Job, lab: Lab, name: str) -> dict[str, Any]:
    """The record of a method: the stored one, or where that is absent, lacks a score or its outputs, a new one, from fits that are stored
    already as far as they are."""
    stored, place, keep = lab.store.record(f'methods/{name}'), f'methods/{name}', job.config.transfer.predictions
    if stored is not None and set(job.metrics) <= set(stored[SCORE_PART][0]) and (lab.store.has_arrays(place) or not keep):
        return stored
    outcome = METHODS[name](lab)
    needs_gram = bool(set(job.methods) & set(NEED_GRAM))
    made = record(lab, outcome, lab.measure_sources()[0] if needs_gram else None, job.metrics)
    outputs = [out[rows] for out, rows in zip(outcome.outputs, test_rows(lab.splits), strict=True)]
    lab.store.save(place, {'outputs': np.asarray(outputs, np.float32)} if keep else None, made)
    return made


def test_rows(splits: Sequence[Split]) -> list[np.ndarray]:
    """The test rows [m] of every seed: as many in each."""
    return [getattr(split, SCORE_PART) for split in splits]


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
