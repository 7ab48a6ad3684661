"""The JSON of study 1 as arrays: measures at the ends of runs, in the order of seeds, and histograms of t."""
import numpy as np

MEASURES = {  # {key: (title, +1 where more is better, digits)}
    'both': ('both right', 1, 3), 'moves_right': ('moves right', 1, 3), 'looks_right': ('looks right', 1, 3), 'motion': ('motion', 1, 3),
    'sharp': ('sharpness', 1, 3), 'texture': ('texture', 1, 3), 'identity': ('identity', 1, 3), 'frechet': ('Fréchet', -1, 2),
    'speeds': ('speed distance', -1, 3), 'loss': ('loss on golden', -1, 5)}
SHORT = ('both', 'motion', 'texture', 'frechet', 'loss')


def values(results, regime, arm, key):
    """[seeds] of a measure at the end of a run, in the order of results['seeds']; NaN where it has none."""
    ends = {run['seed']: run['curve'][-1] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)}
    return np.array([at(ends[seed], key) for seed in results['seeds']])


def at(point, key):
    """A measure at a point of a curve, NaN where there is none."""
    value = np.mean(point['loss']) if key == 'loss' else point['measures'][key]
    return np.nan if value is None else float(value)


def t_histogram(results, regime, arm):
    """How many t lie in each bin, all seeds together."""
    return np.sum([run['t_histogram'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)], 0)
