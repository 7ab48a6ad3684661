"""The clips of a run, scored, normalised and held against the config: `scores.parquet` on disk, arrays in memory."""
import dataclasses
import functools
import json
import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tqd_jax.clips.manifest import read_clips
from tqd_jax.clips.places import join
from tqd_jax.clips.render import render_library
from tqd_jax.data.buckets import Bucket, assign_bucket
from tqd_jax.data.streams import hashed_uniform
from tqd_jax.scoring import engine as score
from tqd_jax.scoring.row import Settings
from tqd_jax.scoring.table import is_scored, load_maps, rows_of, save_maps, write_scores
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.acceptance import acceptance_probability
from tqd_jax.timesteps.learned import LearnedLaw, groups_of
from tqd_jax.timesteps.quadrants import quadrant
from tqd_jax.timesteps.quality import LawConfig, law_from_quality
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.progress import Progress

USED = ['clip', 'id', 'source', 'caption', 'mq', 'vq', 'width', 'height', 'duration']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Library:
    """One row a usable clip: all arrays have the leading axis n.

    paths: str. ids: uint64 content hashes. source: int into source_names, with their mixing `rates`. bucket: int into buckets. law: a
    LawConfig or a LearnedLaw, and kind: int into the latter's groups, 0 without one. keep: acceptance in [0, 1]. weight: float32 loss
    weight. tokens: int32 [n, L]. mq, vq in [0, 1]. width, height in pixels, duration in s.
    """
    paths: np.ndarray
    ids: np.ndarray
    source: np.ndarray
    source_names: tuple
    rates: np.ndarray
    bucket: np.ndarray
    buckets: tuple
    keep: np.ndarray
    weight: np.ndarray
    captions: np.ndarray
    tokens: np.ndarray
    law: LawConfig | LearnedLaw
    kind: np.ndarray
    mq: np.ndarray
    vq: np.ndarray
    width: np.ndarray
    height: np.ndarray
    duration: np.ndarray

    def __len__(self):
        return len(self.paths)

    def bucket_of(self, clip):
        """The Bucket of one row."""
        return self.buckets[self.bucket[clip]]

    def laws(self, clips):
        """The Law of t of the rows `clips` [B], by their scores or by their kinds."""
        if isinstance(self.law, LearnedLaw):
            return self.law.laws(self.kind[clips])
        return law_from_quality(self.mq[clips], self.vq[clips], self.law)

    def held_out(self, fraction, most, seed):
        """Rows (training, held out): of every quadrant at most `fraction` and `most` clips are held out, by a content hash.

        A library too small to spare any trains on all its clips, and those held out are among them.
        """
        everything = np.arange(len(self))
        of_kind = self._by_quadrant(everything, seed)
        held = np.sort(np.concatenate([rows[:min(most, int(fraction * len(rows)))] for rows in of_kind]))
        if not held.size:
            return everything, self.validation(everything, most, seed)
        return np.setdiff1d(everything, held), held

    def validation(self, held, most, seed):
        """Of the rows `held`, at most `most` of every quadrant: the first ones in the order of the same hash."""
        return np.sort(np.concatenate([rows[:most] for rows in self._by_quadrant(held, seed)]))

    def _by_quadrant(self, rows, seed):
        order = rows[np.argsort(hashed_uniform(seed, 2**32, self.ids[rows]), kind='stable')]
        kind = quadrant(self.mq[order], self.vq[order])
        return [order[kind == q] for q in range(4)]


def prepare(data, workdir, seed):
    """Scores the clips that config.data names and writes `scores.parquet`, `skipped.jsonl` and `normaliser.json` to the run's folder.

    A normaliser that is already there is used again, so that a resumed run maps scores as before; a table that tqd_jax.score wrote is taken
    as it is. Raises UserError where more than data.max_skipped_fraction of the clips are unusable, or none is usable.
    """
    workdir = pathlib.Path(workdir)
    table = read_clips(data.clips or str(render_library(workdir / 'library', clips=data.rendered_clips, seed=seed)))
    rows = functools.partial(rows_of, table) if is_scored(table) else _measured(table['clip'].to_pylist(), workdir, data.scoring_workers)
    fixed = workdir / 'normaliser.json'
    maps, usable = write_scores(str(workdir / 'scores.parquet'), table, lambda: _long_enough(rows(), _buckets(data), data.fps),
                                load_maps(fixed) if fixed.exists() else data.normaliser)
    skipped = pa.parquet.read_table(workdir / 'scores.parquet', columns=['clip', 'reason'], filters=pc.field('reason').is_valid())
    _write_lines(workdir / 'skipped.jsonl', skipped.to_pylist())
    _hold_threshold(usable, skipped, data.max_skipped_fraction, workdir)
    if 'mq' not in table.column_names:
        save_maps(fixed, maps)


def load_library(data, workdir, text_len, vocab, law):
    """The Library of a prepared run. Raises UserError where config.data.mix names a source that no clip has, or leaves one out, and where
    a learned law does not know a kind of its clips."""
    table = pa.parquet.read_table(pathlib.Path(workdir, 'scores.parquet'), columns=USED, filters=pc.field('reason').is_null())
    column = lambda name: np.asarray(table[name].to_pylist())
    names, source = np.unique(column('source'), return_inverse=True)
    mq, vq, buckets = column('mq').astype(np.float64), column('vq').astype(np.float64), _buckets(data)
    kind, keep = _kind_and_keep(law, names, source, mq, vq)
    rates, weights = _mix(data.mix, names, source, keep if data.dropout == 'sampler' and isinstance(law, LearnedLaw) else None)
    if data.dropout != 'none' and not keep.any():
        raise UserError(f'config.data.dropout = {data.dropout!r} keeps none of {len(keep)} clips: every max(mq, vq) is 0; set it to none')
    clips = zip(table['width'].to_pylist(), table['height'].to_pylist(), table['duration'].to_pylist(), strict=True)
    return Library(
        paths=np.array([join(str(workdir), name) for name in table['clip'].to_pylist()]),
        ids=np.array([int(i[:16], 16) for i in table['id'].to_pylist()], np.uint64),
        source=source, source_names=tuple(names.tolist()), rates=rates, buckets=buckets,
        bucket=np.array([assign_bucket(*clip, buckets, data.fps) for clip in clips]),
        keep=keep if data.dropout == 'sampler' else np.ones_like(keep),
        weight=(weights[source] * (keep if data.dropout == 'weight' else 1.0)).astype(np.float32),
        captions=column('caption'), tokens=HashedWords(length=text_len, vocab=vocab).prepare(table['caption'].to_pylist()),
        law=law, kind=kind, mq=mq, vq=vq, width=column('width'), height=column('height'), duration=column('duration'))


def _measured(paths, workdir, workers):
    """A function that gives the clips' rows, all of them measured."""
    store, settings = workdir / 'scores.store', Settings()
    by = functools.partial(score.in_processes, settings=settings, store=store, workers=workers) if workers else None
    with Progress(len(paths), label='score', unit='clip') as progress:
        score.score_clips(paths, store, settings, measure=by, progress=lambda done, total: progress.update(done - progress.count))
    return functools.partial(score.rows, paths, store, settings)


def _long_enough(rows, buckets, fps):
    """The rows, with a reason where a clip fills no bucket."""
    shortest = min(b.frames for b in buckets)
    for row in rows:
        if 'reason' not in row and assign_bucket(row['width'], row['height'], row['duration'], buckets, fps) is None:
            row |= {'reason': f'too short: {row["duration"]:.2f} s, and the shortest bucket is {shortest} frames at {fps:g} a second'}
        yield row


def _hold_threshold(usable, skipped, allowed, workdir):
    share = len(skipped) / max(1, usable + len(skipped))
    first = f'the first is {skipped["clip"][0]} ({skipped["reason"][0]})' if len(skipped) else ''
    if not usable:
        raise UserError(f'none of the {len(skipped)} clips is usable; {first}; all are listed in {workdir / "skipped.jsonl"}')
    if share > allowed:
        raise UserError(f'{len(skipped)} of {usable + len(skipped)} clips are unusable, more than '
                        f'config.data.max_skipped_fraction={allowed:g}; {first}; all are listed in {workdir / "skipped.jsonl"}')


def _kind_and_keep(law, names, source, mq, vq):
    """Each clip's kind, and how often it is drawn: quality dropout, or what a learned law says."""
    if not isinstance(law, LearnedLaw):
        return np.zeros(len(mq), int), acceptance_probability(mq, vq)
    kinds, labels = groups_of(law.by, names, source, mq, vq)
    unknown = sorted(set(kinds) - set(law.groups))
    if unknown:
        raise UserError(f'config.law.file knows the kinds {", ".join(law.groups)}, and the clips have {", ".join(unknown)} too: '
                        'learn the law on a library that has them (--mode=learn)')
    kind = np.array([law.groups.index(name) for name in kinds])[labels]
    try:
        return kind, law.acceptance(kind)
    except ValueError as error:
        raise UserError(f'config.law.file, and the clips of this library: {error}; it has only {", ".join(kinds)}') from None


def _mix(mix, names, source, keep=None):
    """Rates (default: by number of clips, each counting `keep`) and loss weights (default: 1) of the sources."""
    if not mix:
        return np.bincount(source, keep) / (len(source) if keep is None else keep.sum()), np.ones(len(names))
    if set(mix) != set(names):
        raise UserError(f'config.data.mix names the sources {sorted(mix)}, and the clips have {sorted(names.tolist())}; '
                        'name each source once')
    return tuple(np.array([float(getattr(mix[name], key)) for name in names]) for key in ('rate', 'weight'))


def _buckets(data):
    return tuple(Bucket(width=w, height=h, frames=f) for w, h, f in data.buckets)


def _write_lines(path, rows):
    _replace(path, lambda part: part.write_text(''.join(json.dumps(row) + '\n' for row in rows)))


def _replace(path, write):
    part = path.with_name(f'.{path.name}.part')
    write(part)
    os.replace(part, path)
