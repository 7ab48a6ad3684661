"""Encodes a library's windows to latents: decoded in worker processes, encoded in batches on the devices, written to shards."""
import contextlib
import dataclasses
import functools
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.cache.failed import add_failed, is_scored_content, read_failed
from tqd_jax.cache.keys import LatentSettings, latent_keys
from tqd_jax.cache.reader import Reader, as_bytes
from tqd_jax.cache.records import Limits, Writer
from tqd_jax.cache.shard import folder_of
from tqd_jax.cache.work import Decode, Summary, Waiting, batches, decoded, one_behind, padded
from tqd_jax.data.frames import FrameStore
from tqd_jax.data.rows import Rows
from tqd_jax.latents.codec import Codec
from transfer_jax.runtime.parallel.mesh import batch_sharding, check_batch
from transfer_jax.runtime.progress import Progress

NOT_FINITE = 'its latents are not finite'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """One process's share of the windows of Rows. keys: uint8 [n, windows, 16], of all. todo: int32 [m, 2], (clip, window) to encode.

    found: how many are in the cache. failed: {(clip's path, reason): {'clip', 'reason'}} of those that the cache remembers as failed.
    """
    keys: np.ndarray
    todo: np.ndarray
    found: int
    failed: dict


def share_of(rows: Rows, cache: os.PathLike | str, settings: LatentSettings, process: int, processes: int) -> Share:
    """The Share of the rows whose number is `process` modulo `processes`. Raises UserError where the cache is damaged."""
    keys, reasons = latent_keys(settings, rows), read_failed(cache)
    there = Reader.open(folder_of(cache, 'latents')).find(keys) >= 0
    lost = ~there & np.isin(as_bytes(keys.reshape(-1, 16)), np.array([*reasons], 'S16')).reshape(there.shape)
    told = [(rows.paths[clip], reasons[keys[clip, window].tobytes()]) for clip, window in _chosen(rows, lost, process, processes)]
    return Share(keys=keys, todo=_chosen(rows, ~there & ~lost, process, processes), found=int(there[process::processes].sum()),
                 failed={(clip, reason): {'clip': clip, 'reason': reason} for clip, reason in told})


def encode_latents(rows: Rows, store: FrameStore, codec: Codec, params, cache: os.PathLike | str, *, settings: LatentSettings,
                   batch: int, mesh: jax.sharding.Mesh, workers: int, prefetch: int, process: int, processes: int, stop,
                   limits: Limits = Limits()) -> Summary:
    """Encodes what the cache lacks of the windows of this process's rows: those whose number is `process` modulo `processes`.

    store: of the rows' frames, at settings.fps. params: of the codec, on the mesh's devices. mesh: of devices of this process alone,
    over which every batch of `batch` windows is split. workers, prefetch: of decoding, as data.loader.iterate has them. stop: its
    `requested` is read before every batch, as a StopRequest's.

    A clip that cannot be read, or whose latents are not finite, is among Summary.failed and not in the cache, which remembers it: the next
    time it is among Summary.failed without a try, unless the reason was the file or the machine and not the clip. Raises UserError where
    the batch does not divide over the mesh, the cache is damaged, or the disk is full.
    """
    check_batch(batch, mesh)
    start, folder, waiting = time.perf_counter(), folder_of(cache, 'latents'), Waiting(stop)
    share = share_of(rows, cache, settings, process, processes)
    todo = share.todo
    decode = Decode(rows=rows, store=store, windows=settings.windows, crop=settings.crop)
    with Writer(folder, process, limits) as writer, Progress(len(todo), label='latents', unit='window', process=process) as progress, \
            contextlib.closing(decoded(todo, decode, workers=workers, prefetch=prefetch)) as ahead:
        out = _Out(rows=rows, keys=share.keys, cache=cache, writer=writer, progress=progress, failed=share.failed)
        ready = batches(ahead, lambda clip: rows.bucket[clip], batch, out.refuse)
        for ones, results in one_behind((ones, _compute(codec, params, ones, batch, mesh, settings.stored)) for ones in waiting.on(ready)):
            out.keep(ones, *map(np.asarray, results))
    return Summary(encoded=writer.committed, found=share.found, failed=tuple(out.failed.values()), seconds=time.perf_counter() - start,
                   waited=waiting.seconds, stopped=progress.count < len(todo))


def _chosen(rows, mask, process, processes):
    """int32 [m, 2], (clip, window) of this process's where mask [n, windows] is true, bucket by bucket."""
    clips, windows = np.nonzero(mask)
    mine = clips % processes == process
    clips, windows = clips[mine], windows[mine]
    order = np.argsort(rows.bucket[clips], kind='stable')
    return np.stack([clips[order], windows[order]], axis=1).astype(np.int32)


def _compute(codec, params, ones, batch, mesh, stored):
    video = jax.device_put(padded([one['frames'] for one in ones], batch), batch_sharding(mesh))
    return _encode(codec, params, video, stored)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _encode(codec, params, video, stored):
    """(latents [B, f, h, w, C] in the dtype `stored`, whether all of each are finite [B])."""
    latents = codec.encode(params, video).astype(stored)
    return latents, jnp.isfinite(latents).all(axis=(1, 2, 3, 4))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Out:
    """Where windows go: to the cache, or among those that failed, {(clip's path, reason): dict}."""
    rows: Rows
    keys: np.ndarray
    cache: os.PathLike | str
    writer: Writer
    progress: Progress
    failed: dict

    def keep(self, ones, latents, finite):
        for one, values, fine in zip(ones, latents, finite, strict=False):  # the batch is padded
            if not fine:
                self.refuse(one | {'reason': NOT_FINITE, 'lasts': True})
                continue
            bucket = self.rows.bucket_of(one['clip'])
            self.writer.add(self.keys[one['clip'], one['window']], values, clip=self.rows.paths[one['clip']], window=one['window'],
                            bucket=dataclasses.astuple(bucket), frames=bucket.frames)
            self._count()

    def refuse(self, one):
        path, reason, key = self.rows.paths[one['clip']], one['reason'], self.keys[one['clip'], one['window']]
        self.failed[path, reason] = {'clip': path, 'reason': reason}
        if one['lasts'] and is_scored_content(path, self.rows.ids[one['clip']]):
            add_failed(self.cache, key.tobytes(), clip=path, window=one['window'], reason=reason)
        self._count()

    def _count(self):
        self.progress.update(1, **({'failed': str(len(self.failed))} if self.failed else {}))
