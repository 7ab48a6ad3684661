"""What a run knows of its sources: weights and their worth with intervals, verdicts, what the folds favour, and sentences."""
import collections
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from transfer_jax.evidence import ALONE
from transfer_jax.experiment.lab.choice import Choice, choice_of
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import Measurement
from transfer_jax.experiment.lab.replicates import replicates
from transfer_jax.knowledge import UNKNOWN, gain, is_unsure, verdict
from transfer_jax.planning import interval
from transfer_jax.runtime.counts import counted
from transfer_jax.solver.solution import check

MOST_NAMES = 4  # of sources in a line
NO_FOLDS = 'no intervals: the target has no folds to leave out (config.transfer.folds, config.data.shots: two of each at least)'
NO_GRAM = 'no plan: G is not measured, since no method of config.transfer.methods needs it (those called otqms... and uowq...)'


def plan_record(lab: Lab) -> dict[str, Any]:
    """The plan of a target as plain values: names, sizes, target_size, labels, missing (why there are no intervals, or None), seeds.

    Each of seeds: weights [K] of UOWQ, intervals [K, 2], worth (extra target samples of all sources) and its interval, verdicts [K], safe
    (of what the method uowq averages, the one that the folds make most probable), gain (its mean and standard error over the target alone,
    of the loss of a held-out row), notes.
    """
    measurement = lab.measure_sources()[0]
    measurement = measurement.replace(shortfall=jnp.maximum(measurement.shortfall, 1))  # where the folds chose no source: what G says
    grams = replicates(lab)
    weights, harmful = np.asarray(check(measurement.weights()).weights), _harmful(measurement)
    many = None if grams is None else np.stack([check(measurement.replace(gram=gram).weights()).weights for gram in grams])
    choice = None if grams is None else choice_of(lab)
    names = [lab.domains[source].name for source in lab.sources]
    labels = counted(lab.target_size // len(lab.classes or '1'), 'label') + ('' if lab.classes is None else ' a class')
    seeds = []
    for seed in range(len(weights)):
        record = known(weights[seed], None if many is None else many[:, seed], lab.sizes, lab.target_size, harmful[seed])
        record |= {'safe': None, 'gain': None} if choice is None else safe_choice(choice, seed)
        seeds.append({**record, 'notes': notes(record, names, lab.sizes, lab.target_size, labels)})
    return {'names': names, 'sizes': lab.sizes.tolist(), 'target_size': lab.target_size, 'labels': labels,
            'missing': NO_FOLDS if grams is None else None, 'seeds': seeds}


def _harmful(measurement: Measurement) -> np.ndarray:
    """Whether each source alone, all its samples at weight 1, has a larger predicted error than the target alone, [S, K]."""
    count, seeds = len(measurement.source_sizes), len(measurement.shortfall)
    error = lambda weights: np.asarray(measurement.error(np.broadcast_to(weights, (seeds, count)).astype(np.float32),
                                                         np.broadcast_to(measurement.source_sizes, (seeds, count))))
    return np.stack([error(own) for own in np.eye(count)], 1) > error(np.zeros(count))[:, None]


def known(weights: np.ndarray, many: np.ndarray | None, sizes: np.ndarray, target_size: int, harmful: np.ndarray) -> dict[str, Any]:
    """{weights, intervals, worth, interval, verdicts} of weights [K] and their replicates [F, K], or None."""
    out = {'weights': weights.tolist(), 'worth': float(weights @ sizes), 'intervals': None, 'interval': None, 'verdicts': None}
    if many is None:
        return out
    intervals = interval(weights, many)
    verdicts = [verdict(low, high, target_size, bad) for (low, high), bad in zip(intervals * sizes[:, None], harmful, strict=True)]
    return {**out, 'intervals': intervals.tolist(), 'interval': interval(weights @ sizes, many @ sizes).tolist(), 'verdicts': verdicts}


def safe_choice(choice: Choice, seed: int) -> dict[str, Any]:
    """{safe, gain}: the name of what the folds favour for a seed, and its gain over the target alone, {mean, standard error} over rows."""
    number = choice.favourite[seed]
    return {'safe': choice.names[number], 'gain': list(gain(choice.losses[number, seed], choice.losses[choice.names.index(ALONE), seed]))}


def notes(record: Mapping[str, Any], names: Sequence[str], sizes: np.ndarray, target_size: int, labels: str) -> list[str]:
    """A sentence for each source of which the labels cannot say whether it helps, then what the folds favour."""
    if record['intervals'] is None:
        return [NO_FOLDS]
    unsure = [f'these {labels} cannot say whether source {name} helps (weight {low:.2g} to {high:.2g})'
              for name, size, (low, high) in zip(names, sizes, record['intervals'], strict=True)
              if is_unsure(low * size, high * size, target_size)]
    return [*unsure, f'the folds favour {record["safe"]}']


def typical(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan over seeds: medians of weights [K], intervals [K, 2], worth and interval, and verdicts [K], those of most seeds.

    Where no verdict has more than half of the seeds it is UNKNOWN. intervals, interval and verdicts are None where the seeds have none.
    """
    seeds = plan['seeds']
    median = lambda key: None if seeds[0][key] is None else np.median([seed[key] for seed in seeds], 0)
    verdicts = seeds[0]['verdicts'] and [most(column) for column in zip(*(seed['verdicts'] for seed in seeds), strict=True)]
    return {'verdicts': verdicts, **{key: median(key) for key in ('weights', 'intervals', 'worth', 'interval')}}


def most(verdicts: Sequence[str]) -> str:
    """The verdict of more than half of the seeds, or UNKNOWN."""
    found, count = collections.Counter(verdicts).most_common(1)[0]
    return found if 2 * count > len(verdicts) else UNKNOWN


def summary_line(target: str, plan: Mapping[str, Any]) -> str:
    """The notes of all seeds in one sentence: sources of which most seeds cannot say whether they help, and what the folds favour."""
    if plan['missing']:
        return f'target {target}: {plan["missing"]}'
    sizes, seeds, lows_and_highs = np.array(plan['sizes']), plan['seeds'], typical(plan)['intervals']
    bounds = np.array([seed['intervals'] for seed in seeds]) * sizes[:, None]
    unsure = [np.mean([is_unsure(*pair, plan['target_size']) for pair in of_source]) > 0.5 for of_source in bounds.swapaxes(0, 1)]
    found = [f'{name} (weight {low:.2g} to {high:.2g})' for name, (low, high), doubt in
             zip(plan['names'], lows_and_highs, unsure, strict=True) if doubt]
    names = ', '.join(found[:MOST_NAMES]) + (f' and {len(found) - MOST_NAMES} more' if len(found) > MOST_NAMES else '')
    doubts = f'these {plan["labels"]} cannot say whether {"sources" if found[1:] else "source"} {names} help{"" if found[1:] else "s"}; '
    choice, count = collections.Counter(seed['safe'] for seed in seeds).most_common(1)[0]
    return f'target {target}: {doubts if found else ""}the folds favour {choice} ({count} of {counted(len(seeds), "seed")})'
