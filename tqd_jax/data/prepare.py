"""The clips of a run are scored before its first step: `scores.parquet`, `skipped.jsonl` and `normaliser.json` in its folder."""
import functools
import json
import pathlib

import pyarrow.compute as pc
import pyarrow.parquet

from tqd_jax.clips.render import render_library
from tqd_jax.data.buckets import assign_bucket
from tqd_jax.data.library import buckets_of
from tqd_jax.scoring.config import ScoreConfig
from tqd_jax.scoring.library import score_library
from tqd_jax.scoring.table import save_maps
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically

LISTED = ('clip', 'reason')  # of a line in skipped.jsonl


def prepare(data, workdir, seed):
    """Scores the clips that config.data names and writes `scores.parquet`, `skipped.jsonl` and `normaliser.json` to the run's folder.

    A normaliser that is already there is used again, so that a resumed run maps scores as before. A table that tqd_jax.score wrote stands
    as it is where all its rows are of one version of this scorer. Raises UserError where more than data.max_skipped_fraction of the clips
    are unusable, or none is usable.
    """
    workdir = pathlib.Path(workdir)
    clips = data.clips or str(render_library(workdir / 'library', clips=data.rendered_clips, seed=seed))
    fixed = workdir / 'normaliser.json'
    config = ScoreConfig(clips=clips, output=str(workdir / 'scores.parquet'), store=str(workdir / 'scores.store'),
                         workers=data.scoring_workers, normaliser=str(fixed) if fixed.exists() else data.normaliser)
    refuse = functools.partial(too_short, buckets=buckets_of(data), fps=data.fps)
    summary = score_library(config, flag='config.data.clips', for_training=True, refuse=refuse)
    skipped = pyarrow.parquet.read_table(config.output, columns=list(LISTED), filters=pc.field('reason').is_valid())
    _write_lines(workdir / 'skipped.jsonl', skipped)
    _check_share(summary.scored, skipped, data.max_skipped_fraction, workdir)
    if summary.mapped:
        save_maps(fixed, summary.maps)


def too_short(row, *, buckets, fps):
    """The reason why a scored clip fills no bucket, or None."""
    if assign_bucket(row['width'], row['height'], row['duration'], buckets, fps) is not None:
        return None
    shortest = min(bucket.frames for bucket in buckets)
    return f'too short: {row["duration"]:.2f} s, and the shortest bucket is {shortest} frames at {fps:g} a second'


def _write_lines(path, table):
    write_atomically(path, ''.join(json.dumps(row) + '\n' for batch in table.to_batches() for row in batch.to_pylist()).encode())


def _check_share(usable, skipped, allowed, workdir):
    share = len(skipped) / max(1, usable + len(skipped))
    first = f'the first is {skipped["clip"][0]} ({skipped["reason"][0]})' if len(skipped) else ''
    if not usable:
        raise UserError(f'none of the {len(skipped)} clips is usable; {first}; all are listed in {workdir / "skipped.jsonl"}')
    if share > allowed:
        raise UserError(f'{len(skipped)} of {usable + len(skipped)} clips are unusable, more than '
                        f'config.data.max_skipped_fraction={allowed:g}; {first}; all are listed in {workdir / "skipped.jsonl"}')
