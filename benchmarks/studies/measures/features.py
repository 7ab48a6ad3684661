"""Features of clips by a small video network, shipped, and the Frechet distance between sets of them.

    python -m benchmarks.studies.measures.features --output=benchmarks/studies/assets/study_features.npz

trains the shipped network, in under 3 minutes on one core.
"""
import argparse
import functools
import itertools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.studies.measures.track import average
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.world import World
from tqd_jax.clips import scenes
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.tensors import save_weights

VERSION = 1  # of the shipped network: distances of two versions are not comparable
SHIPPED = pathlib.Path(__file__).parents[1] / 'assets' / 'study_features.npz'
SIDE, FRAMES = 16, 8
WIDTHS = (3, 16, 32, 64)  # channels: a convolution over 3 x 3 x 3 between each two
STRIDES = ((1, 2, 2), (2, 2, 2), (2, 2, 2))
OUTPUTS = len(scenes.SHAPES) + len(scenes.COLOURS) + 1  # which shapes and colours are there, and the speed
SEED = 2_000_003  # of the training clips, which no other part of a study uses
CLIPS, STEPS, BATCH, LEARNING_RATE = 2048, 800, 64, 4e-3


def features(frames):
    """float32 [N, 64] of frames [N, F, H, W, 3] in 0..255: the shipped network's last hidden layer, averaged over place and time.

    Frames larger than 16 x 16 are averaged to that size; of more than eight frames every (F / 8)-th counts. H = W is a multiple of
    16, F of 8; raises ValueError otherwise.
    """
    if frames.shape[2] != frames.shape[3] or frames.shape[2] % SIDE or frames.shape[1] % FRAMES:
        raise ValueError(f'clips have 8, 16, ... frames of 16, 32, ... pixels a side, not {frames.shape[1:]}')
    small = average(frames[:, ::frames.shape[1] // FRAMES], SIDE)
    weights = _load_shipped()
    return np.concatenate([np.asarray(_hidden(weights, small[i:i + 256])) for i in range(0, len(small), 256)])


def gaussian(values):
    """(mean [D], covariance [D, D]) of values [N, D] in float64."""
    values = np.asarray(values, np.float64)
    return values.mean(0), np.cov(values, rowvar=False)


def frechet(mean, covariance, other_mean, other_covariance):
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2): squared Frechet distance of two Gaussians (arXiv 1706.08500)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_covariance @ root), 0)).sum()
    return float(max(((mean - other_mean) ** 2).sum() + np.trace(covariance) + np.trace(other_covariance) - 2 * cross, 0))


@jax.jit
def _hidden(weights, frames):
    x = (frames - 127.5) / 64
    for layer, stride in enumerate(STRIDES):
        x = jax.nn.gelu(_neighbours(x, stride) @ weights[f'kernel{layer}'] + weights[f'bias{layer}'].reshape(1, 1, 1, 1, -1))
    x = jax.nn.gelu(x @ weights['mix'] + weights['mix_bias'].reshape(1, 1, 1, 1, -1))
    return x.mean((1, 2, 3))


def _neighbours(x, stride):
    """x [N, F, H, W, C] -> [N, F', H', W', 27 C]: what a 3 x 3 x 3 convolution sees; as a product of matrices, it is fast on a CPU."""
    padded, ends = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0))), x.shape[1:4]
    cuts = ([slice(i, i + n, s) for n, s, i in zip(ends, stride, offset, strict=True)] for offset in itertools.product(range(3), repeat=3))
    return jnp.concatenate([padded[:, *cut] for cut in cuts], -1)


def _init(seed):
    weights = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(WIDTHS)):
        scale = (2 / (27 * inputs)) ** 0.5
        weights[f'kernel{layer}'] = scale * jax.random.normal(stream_key(seed, 'kernel', layer), (27 * inputs, outputs))
        weights[f'bias{layer}'] = jnp.zeros(outputs)
    width = WIDTHS[-1]
    weights['mix'], weights['mix_bias'] = jax.random.normal(stream_key(seed, 'mix'), (width, width)) * (2 / width) ** 0.5, jnp.zeros(width)
    return weights | {'head': jnp.zeros((width, OUTPUTS)), 'head_bias': jnp.zeros(OUTPUTS)}


@functools.cache
def _load_shipped():
    with np.load(SHIPPED) as file:
        return {name: jnp.asarray(file[name], jnp.float32) for name in file.files if name not in ('version', 'head', 'head_bias')}


def labels(clips):
    """float32 [N, 12] of world.Clips: 1 for each shape and colour that is there, and the speed in diagonals a second, from 0.6, by 0.16."""
    there = [(column[..., None] == np.arange(count)).any(1) for column, count in ((clips.shape, 5), (clips.colour, 6))]
    return np.concatenate([*there, (clips.speed[:, None] - 0.6) / 0.16], 1).astype(np.float32)


def predict(weights, frames):
    """[N, 12]: logits of shapes and colours, and the speed, as `labels` has it; frames [N, 8, 16, 16, 3] in 0..255."""
    return _hidden(weights, frames) @ weights['head'] + weights['head_bias'].reshape(1, -1)


def train(frames, target, seed=0, steps=STEPS):
    """Weights fitted to frames [N, 8, 16, 16, 3] and labels [N, 12]: cross-entropies and squared error; Adam, cosine rate, flips."""
    optimizer, weights = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps)), _init(seed)

    def loss(weights, x, y):
        out = predict(weights, x)
        return optax.sigmoid_binary_cross_entropy(out[:, :-1], y[:, :-1]).sum(-1).mean() + jnp.square(out[:, -1] - y[:, -1]).mean()

    @jax.jit
    def step(weights, state, frames, target, index):
        key = stream_key(seed, 'batch', index)
        rows = jax.random.randint(key, (BATCH,), 0, len(frames))
        flips = jax.random.bernoulli(stream_key(seed, 'flip', index), 0.5, (2,))
        x = frames[rows].astype(jnp.float32)
        x = jnp.where(flips[0], x[:, ::-1], x)  # backwards in time
        x = jnp.where(flips[1], x[:, :, :, ::-1], x)  # mirrored
        with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
            updates, state = optimizer.update(jax.grad(loss)(weights, x, target[rows]), state)
        return optax.apply_updates(weights, updates), state

    state, frames, target = optimizer.init(weights), jnp.asarray(frames), jnp.asarray(target)
    for index in range(steps):
        weights, state = step(weights, state, frames, target, index)
    return weights


def main(argv):
    """Trains the network on golden clips and writes it in half precision; prints its accuracy on other golden clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', required=True)
    output = parser.parse_args(argv).output
    clips = golden_clips(World(seed=SEED), CLIPS)
    weights = train(clips.frames, labels(clips))
    others = golden_clips(World(seed=SEED + 1), 512)
    out, truth = np.asarray(predict(weights, others.frames.astype(np.float32))), labels(others)
    right = ((out > 0) == (truth > 0.5))[:, :-1].mean(0)
    speed = 0.16 * np.abs(out - truth)[:, -1].mean()
    print(f'shapes {right[:5].mean():.3f} and colours {right[5:].mean():.3f} right; speed to {speed:.3f}')
    save_weights(pathlib.Path(output), {name: np.asarray(w) for name, w in weights.items()} | {'version': np.array(VERSION)},
                 dtype=np.float16)


if __name__ == '__main__':
    main(sys.argv[1:])
