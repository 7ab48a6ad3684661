"""Gradient alignment on a run's own clips: golden ones against copies of them that are worse in look or in motion alone."""
import math

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.clips.render import degrade
from tqd_jax.data.streams import hashed_uniform
from tqd_jax.gradients.alignment import alignment, crossings, verdict
from tqd_jax.gradients.bins import by_bucket, kept_for
from tqd_jax.gradients.products import copy_chunks, copy_products, layer_groups
from tqd_jax.timesteps.quadrants import QUADRANTS, quadrant
from transfer_jax.runtime.errors import UserError

KINDS = ('golden', 'motion', 'visual')  # the copies: as they are, worse in motion, worse in visual quality


def align(run, params):
    """The record of alignment.json (see described), from config.align and at most config.align.clips golden clips of one bucket.

    Raises UserError where fewer golden clips than config.align.chunks are there.
    """
    settings = run.config.align
    clips = golden_clips(run, settings.clips, settings.chunks)
    arrays = run.loader.whole(clips)
    frames = copies(arrays['frames'], settings)
    chunks = copy_chunks(len(clips), len(KINDS), settings.chunks, settings.draws)
    tokens = np.tile(arrays['tokens'], (len(KINDS), 1))
    record = measured(run.objective, params, frames, tokens, chunks, settings.buckets, kept_for(run, 'align', params, clips))
    return {'clips': chunks[0].shape[0] * chunks[0].shape[2] // settings.draws, **record}


def golden_clips(run, most, least):
    """Rows of the library: at most `most` golden clips of the bucket that has most of them, chosen by a hash of their content."""
    library = run.library
    golden = np.flatnonzero(quadrant(library.mq, library.vq) == QUADRANTS.index('golden'))
    golden = golden[library.bucket[golden] == np.bincount(library.bucket[golden], minlength=1).argmax()]
    if len(golden) < least:
        raise UserError(f'{len(golden)} golden clips (mq and vq of at least 1/2) are too few for config.align.chunks = {least}: '
                        'lower it (3 is the least), or give more clips')
    order = np.argsort(hashed_uniform(run.config.seed, 2**34, library.ids[golden]), kind='stable')
    return golden[order[:most]]


def copies(frames, settings):
    """uint8 [3 N, F, H, W, 3]: the clips [N, F, H, W, 3], then with their motion slowed to settings.speed, then degraded in look."""
    slow = np.floor(np.arange(frames.shape[1]) * settings.speed + 0.5).astype(int)
    rng = np.random.default_rng(0)
    look = np.stack([degrade(clip, settings.look, settings.severity, rng)[0] for clip in frames])
    return np.concatenate([frames, frames[:, slow], look])


def measured(objective, params, frames, tokens, chunks, buckets, kept=None):
    """What two copies' gradients are to the first's in `buckets` equal buckets of t, as plain lists; see described. kept: see by_bucket."""
    groups, frames, tokens = layer_groups(params), jnp.asarray(frames), jnp.asarray(tokens)
    products = lambda bucket: _products(objective, params, frames, tokens, bucket, chunks, groups, buckets)
    found = by_bucket(products, buckets, label='align', kept=kept)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *found)
    return {'examples': chunks[0].shape[2], 'chunks': len(chunks[0]), 'groups': groups.names, **described(alignment(stacked), buckets)}


_products = jax.jit(copy_products, static_argnums=(0, 6, 7))  # compiled once for all the weights of a study


def described(found, buckets):
    """The parts of alignment() over buckets [B, L, ...] for JSON, None for what is not known, with t [B], the buckets' middles.

    'said': for either cosine where the two curves of all parameters cross, and a word (alignment.verdict) on the claim that copies of worse
    look align better at noisy t and copies of worse motion at clean t.
    """
    t = (np.arange(buckets) + 0.5) / buckets
    said = {}
    for name in ('expected', 'matched'):
        difference = {key: value[:, 0, 0] for key, value in found[name]['difference'].items()}
        said[name] = {'crossings': crossings(t, difference['cosine']), 'verdict': verdict(difference['sign'])}
    return {'t': t.tolist(), 'said': said, **jax.tree.map(_plain, found)}


def _plain(array):
    known = lambda x: [known(y) for y in x] if isinstance(x, list) else x if math.isfinite(x) else None
    return known(np.asarray(array).tolist())
