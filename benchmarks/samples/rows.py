"""The rows of the table for one seed: samples, and rendered clips of the same scenes, measured alike and stored."""
import numpy as np

from benchmarks.samples.measure import measure, summarise
from benchmarks.samples.truth import clean_clips, library_clips, scenes_of

VERSION = 1  # of the measures: stored numbers of another are measured anew
ROWS = ('samples', 'library', 'clean', 'shuffled')  # library: as training reads the scenes; shuffled: clean, frames in random order


def summaries(store, weights, seed, frames, shape, fps, classifiers):
    """{row: measures of one seed} for ROWS, from the Store where it has them. frames: the samples; weights: the hash of what drew
    them; classifiers: the one, and the second.
    """
    key = {'version': VERSION, 'weights': weights, 'shape': list(shape), 'fps': fps, 'samples': len(frames)}
    name = f'measures-{seed}'
    record = store.record(name)
    if record is None or record['key'] != key:
        record = {'key': key, 'rows': _measured(seed, frames, shape, fps, classifiers)}
        store.save(name, None, record)
    return record['rows']


def _measured(seed, frames, shape, fps, classifiers):
    pairs = scenes_of(seed, len(frames))
    captions = [scene.caption for _, scene in pairs]
    clean = clean_clips(pairs, shape, fps)
    clips = {'samples': frames, 'library': library_clips(pairs, seed, shape, fps), 'clean': clean, 'shuffled': shuffled(clean, seed)}
    found = {row: measure(each, captions, fps, *classifiers) for row, each in clips.items()}
    return {row: summarise(values, found['library']) for row, values in found.items()}


def shuffled(frames, seed):
    """The frames [N, F, ...] of each clip in a random order of its own: the same things, and no path."""
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(frames.shape[1]), (len(frames), 1)), axis=1)
    return np.take_along_axis(frames, order.reshape(*order.shape, *[1] * (frames.ndim - 2)), axis=1)
