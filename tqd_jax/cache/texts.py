"""Encodes a library's captions to text features, each caption once, without its padding."""
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Int32

from tqd_jax.cache.keys import TextSettings, text_keys
from tqd_jax.cache.reader import Reader, unique_keys
from tqd_jax.cache.records import Limits, Writer
from tqd_jax.cache.shard import folder_of
from tqd_jax.cache.work import Summary, Waiting, one_behind, padded
from tqd_jax.text.encoder import TextEncoder
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.parallel.mesh import batch_sharding, check_batch
from transfer_jax.runtime.progress import Progress

NOT_FINITE = 'its features are not finite'
AHEAD = 2048  # captions that are grouped by length at a time


class Captions(Protocol):
    """Captions to tokens, on the host."""

    def prepare(self, captions: Sequence[str]) -> Int32[np.ndarray, 'n length']:
        """Token ids, cut to a length; 0 is padding, at the end."""

    def too_long(self, captions: Sequence[str]) -> list[int]:
        """Numbers of the captions that prepare cuts."""


def encode_texts(captions: Sequence[str], encoder: Captions, encode: Callable, cache: os.PathLike | str, *, settings: TextSettings,
                 clean: Callable[[str], str], batch: int, process: int, processes: int, stop, limits: Limits = Limits()) -> Summary:
    """Encodes what the cache lacks of this process's part of the unique captions and of the empty caption.

    encode: tokens int32 [b, n] -> features [b, n or more, width], for at most `batch` captions of like length, cut to n tokens; it is
    called again before its result is read. clean: what is done to a caption before its tokens; captions that it makes equal are one.
    stop: its `requested` is read before every batch, as a StopRequest's.

    A caption whose features are not finite is among Summary.failed and not in the cache. Raises UserError where the cache is damaged or
    the disk is full.
    """
    start, folder, waiting = time.perf_counter(), folder_of(cache, 'text'), Waiting(stop)
    keys, first, _ = unique_keys(text_keys(settings, map(clean, itertools.chain([''], captions))))
    mine = np.arange(len(keys)) % processes == process
    there = Reader.open(folder).find(keys) >= 0
    todo, failed, too_long = np.flatnonzero(mine & ~there), [], []
    caption = lambda key: captions[first[key] - 1] if first[key] else ''
    with Writer(folder, process, limits) as writer, Progress(len(todo), label='text', unit='caption', process=process) as progress:
        groups = _groups(todo, caption, encoder, settings.length, batch, too_long)
        for (numbers, tokens), features in one_behind((group, encode(group[1])) for group in waiting.on(groups)):
            for number, row, length in zip(numbers, np.asarray(features), lengths(tokens), strict=True):
                row = row[:length].astype(settings.stored)
                if np.isfinite(row).all():
                    writer.add(keys[number], row, caption=caption(number), tokens=int(length))
                else:
                    failed.append({'caption': caption(number), 'reason': NOT_FINITE})
                progress.update(1, **({'failed': str(len(failed))} if failed else {}))
    return Summary(encoded=writer.committed, found=int((mine & there).sum()), failed=tuple(failed), too_long=tuple(too_long),
                   seconds=time.perf_counter() - start, waited=waiting.seconds, stopped=progress.count < len(todo))


def on_devices(encoder: TextEncoder, params, *, batch: int, mesh: jax.sharding.Mesh, stored: str) -> Callable:
    """The `encode` of encode_texts by an encoder whose params are on the mesh's devices, a batch split over them.

    Raises UserError where the batch does not divide over the mesh.
    """
    check_batch(batch, mesh)

    def encode(tokens):
        rows = jax.device_put(padded(list(tokens), batch), batch_sharding(mesh))
        return _encode(encoder, params, rows, stored)[:len(tokens)]
    return encode


@functools.partial(jax.jit, static_argnums=(0, 3))
def _encode(encoder, params, tokens, stored):
    return encoder.encode(params, tokens)[:, :tokens.shape[1]].astype(stored)  # an encoder may pad them to its length again


def lengths(tokens: Int32[np.ndarray, 'n length']) -> Int32[np.ndarray, ' n']:
    """The number of tokens of each row up to the last that is not padding, at least 1."""
    place = np.arange(1, tokens.shape[1] + 1) * (tokens != 0)
    return np.maximum(place.max(axis=1), 1)


def _groups(todo, caption, encoder, length, batch, too_long) -> Iterator:
    """Pairs of numbers [b] of `todo` and their tokens [b, n], n one of the widths of `length`.

    n is a function of the caption alone, so that its features do not depend on what else there is to encode.
    """
    for block in (todo[first:first + AHEAD] for first in range(0, len(todo), AHEAD)):
        texts = [caption(number) for number in block]
        tokens = encoder.prepare(texts)
        if tokens.shape[1] != length:
            raise ValueError(f'the encoder cuts captions to {counted(tokens.shape[1], "token")}, and settings.length is {length}')
        width = _width(lengths(tokens), length)
        full = [text for text, last in zip(texts, tokens[:, -1], strict=True) if last]
        too_long += [full[number] for number in encoder.too_long(full)]
        for one in np.unique(width):
            rows = np.flatnonzero(width == one)
            for first in range(0, len(rows), batch):
                some = rows[first:first + batch]
                yield block[some], tokens[some, :one]


def _width(count, length):
    """The least of length / 8, / 4, / 2 and length that is at least `count` [n]: four programs, and little padding."""
    widths = np.array([max(1, length >> shift) for shift in (3, 2, 1, 0)])
    return widths[np.searchsorted(widths, count)]
