"""Frames and captions of samples: which captions, of which shapes, from which noise, a few at a time."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.data.buckets import Bucket
from tqd_jax.diffusion.sampler import advance_latents, draw_noise, stages, start_latents
from transfer_jax.runtime.keys import example_keys
from transfer_jax.runtime.parallel.mesh import replicated


def generate(run, trained, frozen):
    """Frames, a list of uint8 [F, H, W, 3], and their captions: config.sample.captions in turn, or those of validation clips."""
    captions, shapes = sample_captions(run), sample_shapes(run)
    size, latents = run.config.sample.batch or len(captions), {}
    for shape in dict.fromkeys(shapes):
        rows = [row for row, other in enumerate(shapes) if other == shape]
        for start in range(0, len(rows), size):
            part = rows[start:start + size]
            drawn = draw_latents(run, trained, frozen, np.resize(part, min(size, len(rows))), captions, shape)
            latents |= dict(zip(part, drawn, strict=False))  # the last part is filled up, so that one program draws them all
    frames = decode(run, [latents[row][None] for row in range(len(captions))])
    return [clips[0] for clips in frames], captions


def sample_captions(run):
    """The captions of the samples."""
    settings = run.config.sample
    choice = list(settings.captions or run.library.captions[run.validation])
    return [str(choice[i % len(choice)]) for i in range(settings.clips)]


def sample_shapes(run):
    """The Buckets of the samples: config.sample.shapes in turn, or the one that most clips are of."""
    settings = run.config.sample
    shapes = [Bucket(width=w, height=h, frames=f) for w, h, f in settings.shapes or ()] or [run.library.buckets[main_bucket(run)]]
    return [shapes[i % len(shapes)] for i in range(settings.clips)]


def main_bucket(run):
    """The number of the bucket that most clips are of."""
    return np.bincount(run.library.bucket).argmax()


def draw_latents(run, trained, frozen, rows, captions, shape):
    """Latents [N, f, h, w, C] of the samples `rows` [N], from noise that depends on the seed and the row alone."""
    settings = run.foundation.sampling()
    features = lambda texts: run.objective.text.encode(frozen['text'], jnp.asarray(run.foundation.features(texts, run.workdir)))
    text, negative = features([captions[row] for row in rows]), features([run.foundation.negative()])
    keys = example_keys(run.config.seed, 'sample', 0, np.asarray(rows, np.uint32))
    shape = run.objective.codec.latent_shape(shape.frames, shape.height, shape.width)
    state, fixed = start_latents(draw_noise(keys, shape), settings), (run.objective, settings, replicated(run.mesh))
    for stage in stages(settings):
        own = stage.expert in (None, run.foundation.expert)
        weights = (trained, frozen['model']) if own else run.foundation.other(run.abstract_state.trained, run.abstract_frozen['model'])
        guidance = stage.guidance if stage.guidance <= 1 else np.float32(stage.guidance)
        advance = _advance_alone if stage.guidance <= 1 else _advance_guided
        state = advance(*fixed, *weights, state, text, negative, np.int32(stage.start), np.int32(stage.stop), guidance)
    return state.x


def decode(run, latents):
    """A list of uint8 frames [N, F, H, W, 3], of a list of latents [N, f, h, w, C]; the decoder is loaded for it, and freed."""
    params = run.foundation.decoder()
    return [np.asarray(_decode(run.objective.codec, replicated(run.mesh), params, part)) for part in latents]


def _advance(objective, settings, sharding, trained, model, state, text, negative, start, stop, guidance):
    state = advance_latents(objective, trained, {'model': model}, state, text, negative, settings, start, stop, guidance)
    return jax.lax.with_sharding_constraint(state, sharding)


_advance_guided = jax.jit(_advance, static_argnums=(0, 1, 2))  # one program for both experts, and for all samples of a run
_advance_alone = jax.jit(_advance, static_argnums=(0, 1, 2, 10))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decode(codec, sharding, params, latents):
    return jax.lax.with_sharding_constraint(codec.decode(params, latents), sharding)
