"""Frames and captions of samples: which captions, of which shapes, from which noise, a few at a time."""
import functools

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.data.buckets import Bucket
from tqd_jax.diffusion.sampler import advance_latents, draw_noise, stages, start_latents
from transfer_jax.runtime.keys import example_keys
from transfer_jax.runtime.parallel.mesh import replicated
from transfer_jax.runtime.parallel.stops import check_stop
from transfer_jax.runtime.progress import Progress


def generate(run, trained, frozen, whose=''):
    """Frames, a list of uint8 [F, H, W, 3], and their captions: config.sample.captions in turn, or those of validation clips.

    whose: what the progress calls the weights, where samples of several are drawn.
    """
    latents, captions = generate_latents(run, trained, frozen, whose)
    return decode(run, latents, whose), captions


def generate_latents(run, trained, frozen, whose=''):
    """Latents, a list of [f, h, w, C], and their captions, as generate has them before it decodes."""
    captions, latents = sample_captions(run), {}
    parts = parts_of(sample_shapes(run), run.config.sample.batch or len(captions))
    for (_, rows), drawn in zip(parts, draw_latents(run, trained, frozen, captions, parts, whose), strict=True):
        latents |= dict(zip(rows.tolist(), drawn, strict=True))  # what fills up a part is in it twice
    return [latents[row] for row in range(len(captions))], captions


def parts_of(shapes, size):
    """Pairs of a shape and the rows of samples that are drawn at once, at most `size`, filled up: one program draws all of a shape."""
    parts = []
    for shape in dict.fromkeys(shapes):
        rows = [row for row, other in enumerate(shapes) if other == shape]
        size_here = min(size, len(rows))
        parts += [(shape, np.resize(rows[start:start + size], size_here)) for start in range(0, len(rows), size)]
    return parts


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


def draw_latents(run, trained, frozen, captions, parts, whose=''):
    """Latents [N, f, h, w, C] of each of the `parts`, from noise that depends on the seed and the row alone.

    All parts go through a stage before the next one begins, so that weights of another expert are read once. Raises Stopped where a stop is
    requested between two steps of the solver.
    """
    settings = run.foundation.sampling()
    features = run.foundation.features([*captions, run.foundation.negative()], run.workdir)
    text = run.objective.text.encode(frozen['text'], jnp.asarray(features))
    states = [_placed(replicated(run.mesh), start_latents(noise_of(run, *part), settings)) for part in parts]
    with Progress(settings.steps * len(parts), label=_labelled('sample', whose), warms=True) as progress:
        for stage in stages(settings):
            own = stage.expert in (None, run.foundation.expert)
            weights = (trained, frozen['model']) if own else run.foundation.other(run.abstract_state.trained, run.abstract_frozen['model'])
            states = [_through(run, settings, stage, weights, state, text[rows], text[-1:], progress)
                      for (_, rows), state in zip(parts, states, strict=True)]
    return [state.x for state in states]


def _through(run, settings, stage, weights, state, text, negative, progress):
    """The state after the steps of a Stage, by one program for all of them."""
    guidance = stage.guidance if stage.guidance <= 1 else np.float32(stage.guidance)
    advance = _advance_alone if stage.guidance <= 1 else _advance_guided
    for step in range(stage.start, stage.stop):
        check_stop()
        state = advance(run.objective, settings, replicated(run.mesh), *weights, state, text, negative, np.int32(step), np.int32(step + 1),
                        guidance)
        jax.block_until_ready(state)
        progress.update()
    return state


def noise_of(run, shape, rows):
    """Latent noise [N, f, h, w, C] of the samples `rows` [N] of one shape."""
    keys = example_keys(run.config.seed, 'sample', 0, np.asarray(rows, np.uint32))
    return draw_noise(keys, run.objective.codec.latent_shape(shape.frames, shape.height, shape.width))


def decode(run, latents, whose=''):
    """uint8 frames [F, H, W, 3] of each of the latents [f, h, w, C], one after the other: a list. The decoder is loaded for it.

    Raises Stopped where a stop is requested between two of them.
    """
    params, frames = run.foundation.decoder(), []
    with Progress(len(latents), label=_labelled('decode', whose), unit='clip', warms=True) as progress:
        for latent in latents:
            check_stop()
            frames.append(np.asarray(_decode(run.objective.codec, replicated(run.mesh), params, latent[None]))[0])
            progress.update()
    return frames


def _labelled(what, whose):
    return f'{what} ({whose})' if whose else what


def _advance(objective, settings, sharding, trained, model, state, text, negative, start, stop, guidance):
    state = advance_latents(objective, trained, {'model': model}, state, text, negative, settings, start, stop, guidance)
    return jax.lax.with_sharding_constraint(state, sharding)


@functools.partial(jax.jit, static_argnums=0)
def _placed(sharding, state):
    """The state before the first step where each step leaves it: placed otherwise, the first step would be a program of its own."""
    return jax.lax.with_sharding_constraint(state, sharding)


_advance_guided = jax.jit(_advance, static_argnums=(0, 1, 2))  # one program for all samples of an expert
_advance_alone = jax.jit(_advance, static_argnums=(0, 1, 2, 10))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decode(codec, sharding, params, latents):
    return jax.lax.with_sharding_constraint(codec.decode(params, latents), sharding)
