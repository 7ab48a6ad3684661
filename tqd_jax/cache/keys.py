"""What a cached array depends on, as a key of 16 bytes: whatever changes a number of it changes the key."""
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.strings import CHUNK

FORMAT = 1  # changes when this package computes other numbers from the same ingredients
SAME = ('chunk',)  # fields of a codec that change how it computes and not what


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentSettings:
    """What latents depend on beside the clip, its bucket and the window.

    codec: of describe. fps: frames a second. windows: of a clip. crop: 'center' or 'random'. stored: name of the dtype on disk.
    pictures: PictureOptions.version.
    """
    codec: str
    fps: float
    windows: int
    crop: str
    stored: str
    pictures: str = PictureOptions().version


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings:
    """What text features depend on beside the caption. encoder, tokenizer: hashes of their files.

    length: tokens after which captions are cut, and the rows that a model reads. compute, stored: names of the dtypes.
    """
    encoder: str
    tokenizer: str
    length: int
    compute: str
    stored: str


def describe(codec, weights):
    """A codec, a frozen dataclass with weights of this hash, as canonical JSON: its kind and fields, without SAME."""
    fields = {name: value for name, value in dataclasses.asdict(codec).items() if name not in SAME}
    return canonical({'kind': type(codec).__name__, 'weights': weights, **fields})


def latent_key(settings: LatentSettings, clip: int, bucket, window: int) -> bytes:
    """The key of one window of a clip in a Bucket; clip: uint64, its content id."""
    digest = _latents(settings, bucket).copy()
    digest.update(b'%016x %d' % (int(clip), window))
    return digest.digest()


def latent_keys(settings: LatentSettings, rows) -> UInt8[np.ndarray, 'n windows 16']:
    """The keys of every window of all Rows."""
    keys = np.empty((len(rows.ids), settings.windows, 16), np.uint8)
    for clip, (content, bucket) in enumerate(zip(rows.ids.tolist(), rows.bucket.tolist(), strict=True)):
        for window in range(settings.windows):
            keys[clip, window] = np.frombuffer(latent_key(settings, content, rows.buckets[bucket], window), np.uint8)
    return keys


def text_key(settings: TextSettings, caption: str) -> bytes:
    """The key of a caption, as the tokenizer gets it."""
    digest = _texts(settings).copy()
    digest.update(caption.encode())
    return digest.digest()


def text_keys(settings: TextSettings, captions: Iterable[str]) -> UInt8[np.ndarray, 'n 16']:
    """The keys of captions."""
    blocks, block = [], []
    for caption in captions:
        block.append(text_key(settings, caption))
        if len(block) == CHUNK:
            blocks.append(b''.join(block))
            block.clear()
    return np.frombuffer(b''.join([*blocks, *block]), np.uint8).reshape(-1, 16)


def canonical(value: Mapping) -> str:
    """JSON that is the same for equal values; a dtype is its name."""
    return json.dumps(value, sort_keys=True, separators=(',', ':'), default=lambda dtype: jnp.dtype(dtype).name)


@functools.lru_cache
def _latents(settings, bucket):
    return _digest('latents', dataclasses.asdict(settings) | {'bucket': dataclasses.astuple(bucket)})


@functools.lru_cache
def _texts(settings):
    return _digest('text', dataclasses.asdict(settings))


def _digest(kind, ingredients):
    return hashlib.blake2b(canonical({'format': FORMAT, 'kind': kind, **ingredients}).encode() + b'\n', digest_size=16)
