"""From draws to batches: a grain dataset whose element number b is batch b, whatever the workers, hosts or resumes.

Streams of clip numbers (one a bucket and source) are mixed by rate, cut into batches of one bucket, mixed by the buckets' share of clips,
and only then decoded and cropped, so that a host decodes its own rows alone. The state of the iterator is one integer: the next batch.
"""
import dataclasses
import signal

import grain
import numpy as np
from absl import flags

from tqd_jax.clips.bad_clip import BadClip
from tqd_jax.data.batch import Batch
from tqd_jax.data.frames import Examples
from tqd_jax.data.rows import Rows
from tqd_jax.data.several import drawn_tokens
from tqd_jax.data.streams import Stream
from transfer_jax.runtime.counts import plural
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.cores import cores


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loader:
    """Turns the clip numbers of one batch into its arrays; picklable, so that worker processes can hold it.

    store: a FrameStore, or what else gives the library's rows as examples. texts: None, and Batch.text is library.tokens; or an object
    whose rows(tokens [B]) are the text features of so many rows, [B, ...]. part: the rows of a batch that this process makes, ascending,
    of mesh.local_rows; None: all of them. draws: one of a clip's several captions, else the first.
    """
    library: Rows
    store: Examples
    seed: int
    batch: int
    crop: str = 'random'
    part: tuple[int, ...] | None = None
    texts: object | None = None
    draws: bool = True

    def __call__(self, number, clips):
        """The Batch `number` of clips [B], this process's rows of it, as numpy arrays."""
        clips, examples = clips[self.rows], (number * self.batch + self.rows).astype(np.uint32)
        bucket = self.library.bucket_of(clips[0])
        video = [self._video(clip, example, bucket) for clip, example in zip(clips, examples, strict=True)]
        library = self.library
        text = drawn_tokens(library, clips, self.seed, number, examples) if self.draws else library.tokens[clips]
        return Batch(video=np.stack(video), text=text if self.texts is None else self.texts.rows(text), example=examples,
                     clip=clips.astype(np.int32), weight=library.weight[clips], law=library.laws(clips))

    def whole(self, clips):
        """The Batch of all the clips [B] of one bucket, the middle and the first caption of each, the same on every process."""
        return dataclasses.replace(self, batch=len(clips), crop='center', part=None, draws=False)(0, clips)

    @property
    def rows(self):
        """The rows of a batch that are this process's."""
        return np.arange(self.batch) if self.part is None else np.array(self.part)

    def _video(self, clip, example, bucket):
        rng = np.random.default_rng([self.seed, int(example)])
        place = rng.random(3) if self.crop == 'random' else np.full(3, 0.5)
        try:
            return self.store.example(clip, bucket, place)
        except BadClip as error:
            raise UserError(f'{self.library.paths[clip]} was scored but cannot be read any more: {error}; '
                            'restore it, or start in another --workdir without it') from error


def make_batches(library, loader, clips):
    """The endless grain MapDataset of batches over the library's rows `clips` [n]: dataset[b] is batch b.

    Batches of a bucket come in proportion to the accepted clips in it, and rows within a batch by the sources' rates.
    Raises UserError where none of the clips is ever accepted.
    """
    if not library.acceptance[np.asarray(clips)].any():
        raise UserError(f'the acceptance of {plural(len(clips), "the one training clip", f"all {len(clips)} training clips")} is 0: '
                        'every max(mq, vq) is 0 (set config.data.dropout to '
                        'none), or no law has t on the part of config.wan.expert (set another config.law)')
    streams = _streams(library, clips, loader.seed)
    buckets = {}
    for (bucket, _), (stream, rate) in streams.items():
        buckets.setdefault(bucket, []).append((grain.MapDataset.source(stream), rate))
    parts = [_mix(rows).batch(loader.batch) for rows in buckets.values()]
    shares = [sum(rate for _, rate in rows) for rows in buckets.values()]
    return _mix(list(zip(parts, shares, strict=True))).map_with_index(loader)


def iterate(batches, start, stop, *, workers, prefetch):
    """An iterator over batches start .. stop - 1, `prefetch` of them decoded ahead.

    That is done by as many threads, but at most one a core (workers = 0), or by worker processes of one thread each.
    """
    flags.FLAGS.mark_as_parsed()  # grain reads absl flags, which a notebook or a test never parses
    threads = grain.ReadOptions(num_threads=1 if workers else min(cores(), prefetch), prefetch_buffer_size=prefetch)
    dataset = batches[start:stop].to_iter_dataset(threads)
    if workers:
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=prefetch)
        dataset = dataset.mp_prefetch(options, _outlive_interrupt)
    return iter(dataset)


def _outlive_interrupt(worker, workers):
    """Ctrl-C goes to the whole group of processes; to their parent it is a request to stop after a save, which may need more of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _streams(library, clips, seed):
    """{(bucket, source): (stream, its share of all draws)}; a source's rate is spread over its buckets by the clips accepted there."""
    clips = np.asarray(clips)
    streams, accepted = {}, np.bincount(library.source[clips], weights=library.acceptance[clips], minlength=len(library.rates))
    for bucket in np.unique(library.bucket[clips]):
        for source in np.unique(library.source[clips]):
            rows = clips[(library.bucket[clips] == bucket) & (library.source[clips] == source)]
            if not library.acceptance[rows].any():
                continue
            stream = Stream(clips=rows, ids=library.ids[rows], acceptance=library.acceptance[rows], seed=seed)
            streams[bucket, source] = stream, library.rates[source] * library.acceptance[rows].sum() / accepted[source]
    return streams


def _mix(parts):
    datasets, rates = zip(*parts, strict=True)
    return datasets[0] if len(datasets) == 1 else grain.MapDataset.mix(datasets, rates)
