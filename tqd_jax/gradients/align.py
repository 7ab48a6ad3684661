"""Gradient alignment on a run's own clips: golden ones against copies of them that are worse in visual quality or in motion alone."""
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.clips.render import degrade
from tqd_jax.data.streams import hashed_uniform
from tqd_jax.gradients.alignment import alignment, crossings, verdict
from tqd_jax.gradients.bins import bin_store, products_by_bin
from tqd_jax.gradients.products import copy_chunks, copy_products, layer_groups
from tqd_jax.timesteps.quadrants import QUADRANTS, quadrant
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError

CHOICE = 2**34  # the salt of the hash that chooses clips
COPIES = ('golden', 'motion', 'visual')  # of every clip: as it is, worse in motion, worse in visual quality


def align(run, trained, frozen):
    """The record of alignment.json (see alignment_record), from config.align and at most config.align.clips golden clips of one bucket.

    Raises UserError where fewer golden clips than config.align.chunks are there.
    """
    settings = run.config.align
    rows = golden_clips(run.library, settings.clips, settings.chunks, run.config.seed)
    copies = worse_copies(run.frames_loader.whole(rows), settings)
    clips = dataclasses.replace(copies, video=run.foundation.encode(copies.video))
    chunks = copy_chunks(len(rows), len(COPIES), settings.chunks, settings.draws)
    store = bin_store(run, 'align', (trained, frozen), rows)
    record = measure_alignment(run.objective, trained, frozen, clips, chunks, settings.bins, store)
    return {'clips': chunks[0].shape[0] * chunks[0].shape[2] // settings.draws, **record}


def golden_clips(library, most, least, seed):
    """Rows of the library: at most `most` golden clips of the bucket that has most of them, chosen by a hash of their content.

    Raises UserError where there are fewer than `least`.
    """
    golden = np.flatnonzero(quadrant(library.mq, library.vq) == QUADRANTS.index('golden'))
    golden = golden[library.bucket[golden] == np.bincount(library.bucket[golden], minlength=1).argmax()]
    if len(golden) < least:
        raise UserError(f'{counted(len(golden), "golden clip")} (mq and vq of at least 1/2) '
                        f'{plural(len(golden), "is", "are")} too few for config.align.chunks = {least}: '
                        'lower it (3 is the least), or give more clips')
    order = np.argsort(hashed_uniform(seed, CHOICE, library.ids[golden]), kind='stable')
    return golden[order[:most]]


def worse_copies(batch, settings):
    """The Batch of 3 N rows: the N clips of a Batch, the same with their motion slowed to settings.speed, and with pictures degraded."""
    slow = np.floor(np.arange(batch.video.shape[1]) * settings.speed + 0.5).astype(int)
    rng = np.random.default_rng(0)
    degraded = np.stack([degrade(clip, settings.degradation, settings.severity, rng)[0] for clip in batch.video])
    copies = jax.tree.map(lambda x: np.concatenate([x] * len(COPIES)), batch)
    return dataclasses.replace(copies, video=np.concatenate([batch.video, batch.video[:, slow], degraded]))


def measure_alignment(objective, trained, frozen, clips, chunks, bins, store=None):
    """The record of what copies' gradients are to the first copy's in `bins` equal noise bins, as plain lists; see alignment_record.

    clips: a Batch of copies, chunks: of copy_chunks, store: see products_by_bin.
    """
    layers, clips = layer_groups(trained), jax.tree.map(jnp.asarray, clips)
    products = lambda noise_bin: _copy_products(objective, trained, frozen, clips, noise_bin, chunks, layers, bins)
    results = products_by_bin(products, bins, label='align', store=store)
    products = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *results)
    return {'examples': chunks[0].shape[2], 'chunks': len(chunks[0]), 'layers': layers.names,
            **alignment_record(alignment(products), bins)}


_copy_products = jax.jit(copy_products, static_argnums=(0, 6, 7))  # compiled once for all the weights of a study


def alignment_record(curves, bins):
    """The parts of alignment() over noise bins [B, L, ...] for JSON, None for NaN, with t [B], the bins' middles.

    'summary': for either cosine where the two curves of all parameters cross, and a word (alignment.verdict) on the claim that copies of
    worse visual quality align better at noisy t and copies of worse motion at clean t.
    """
    t = (np.arange(bins) + 0.5) / bins
    summary = {}
    for name in ('expected', 'matched'):
        difference = {key: value[:, 0, 0] for key, value in curves[name]['difference'].items()}
        summary[name] = {'crossings': crossings(t, difference['cosine']), 'verdict': verdict(difference['sign'])}
    return {'t': t.tolist(), 'summary': summary, **jax.tree.map(_plain, curves)}


def _plain(array):
    finite = lambda x: [finite(y) for y in x] if isinstance(x, list) else x if math.isfinite(x) else None
    return finite(np.asarray(array).tolist())
