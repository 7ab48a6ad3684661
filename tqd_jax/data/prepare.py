"""The clips of a run are scored before its first step: `scores.parquet`, `skipped.jsonl` and `normaliser.json` in its folder."""
import dataclasses
import functools
import io
import json

from tqd_jax.clips.render import render_library
from tqd_jax.data.buckets import assign_bucket
from tqd_jax.data.library import buckets_of, check_mix
from tqd_jax.data.skipped import SKIPPED, check_share
from tqd_jax.scoring.config import ScoreConfig
from tqd_jax.scoring.importers.clips import clips_table
from tqd_jax.scoring.library import score_library
from tqd_jax.scoring.measure import measure_share
from tqd_jax.scoring.scores import read_scores
from tqd_jax.scoring.store import merge_shares
from tqd_jax.scoring.table import save_maps
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of

STORE = 'scores.store'  # of a run's folder: measured rows
STRIDE = 4  # frames that Wan's VAE makes one, and a multiple of the patch of models of pixels
LISTED = ('clip', 'reason')  # of a line in skipped.jsonl


def prepare(data, workdir, seed):
    """Scores the clips that config.data names and writes `scores.parquet`, `skipped.jsonl` and `normaliser.json` to the run's folder.

    A normaliser that is already there is used again, so that a resumed run maps scores as before. A table that tqd_jax.score wrote stands
    as it is where all its rows are of one version of this scorer. Raises UserError where more than data.max_skipped_fraction of the clips
    are unusable, or none is usable, and, before any is measured, where data.mix does not name their sources.
    """
    workdir = path_of(workdir)
    config = score_config(data, workdir, data.clips or str(render_library(workdir / 'library', clips=data.rendered_clips, seed=seed)))
    merge_shares(config.store)
    refuse = functools.partial(too_short, buckets=buckets_of(data), fps=data.fps)
    check = lambda table: check_mix(data.mix, table['source'].unique().to_pylist())
    summary = score_library(config, flag='config.data.clips', for_training=True, check=check, refuse=refuse)
    first = list_skipped(config.output, workdir / SKIPPED)
    _check_skipped(summary, first, data.max_skipped_fraction, workdir)
    if skipped := summary.clips - summary.scored:
        print(f'{summary.scored} of {counted(summary.clips, "clip")} can be used; {skipped} skipped, see {workdir / SKIPPED}')
    if summary.mapped:
        save_maps(workdir / 'normaliser.json', summary.maps)


def score_config(data, workdir, clips):
    """The ScoreConfig of config.data's clips in the run's folder."""
    fixed = workdir / 'normaliser.json'
    columns = data.columns if data.clips else None
    return ScoreConfig(clips=clips, columns=columns, output=str(workdir / 'scores.parquet'), store=str(workdir / STORE),
                       workers=data.scoring_workers, normaliser=str(fixed) if fixed.exists() else data.normaliser,
                       background=data.background, deinterlace=data.deinterlace, camera=data.camera)


def score_share(data, workdir, process, processes, stop):
    """Measures the clips of which this process has the turn, into a share of the run's store; prepare merges the shares.

    stop: its `requested` is read before every clip.
    """
    config = score_config(data, path_of(workdir), data.clips)
    table = clips_table(config.clips, config.scores, config.tool, 'config.data.clips', config.columns)
    check_mix(data.mix, table['source'].unique().to_pylist())
    measure_share(config, table, process, processes, stop)


def too_short(row, *, buckets, fps):
    """The reason why a scored clip fills no bucket, or None."""
    if assign_bucket(row['width'], row['height'], row['duration'], buckets, fps) is not None:
        return None
    least = min(buckets, key=lambda bucket: bucket.frames)
    return f'too short: {row["duration"]:.2f} s, and the shortest bucket is {counted(least.frames, "frame")} at {fps:g} a second' \
           f'{_shorter(least, row["duration"], fps)}'


def _shorter(least, duration, fps):
    """Words on a bucket that a clip of so many seconds fills, shorter by a multiple of 4 frames, Wan's stride; none where there is none."""
    fits = (frames for frames in range(least.frames - STRIDE, 1, -STRIDE)
            if assign_bucket(least.width, least.height, duration, (dataclasses.replace(least, frames=frames),), fps) is not None)
    frames = next(fits, None)
    return '' if frames is None else f'; it fills "--config.data.buckets=(({least.width}, {least.height}, {frames}),)"'


def list_skipped(scores, output):
    """Writes a line {'clip', 'reason'} for every clip without scores; returns the first such row, or None."""
    first, lines = None, io.BytesIO()
    for batch in read_scores(scores).batches(LISTED, 'reason'):
        for row in batch.to_pylist():
            first = first or row
            lines.write(f'{json.dumps(row)}\n'.encode())
    write_atomically(output, lines.getvalue())
    return first


def _check_skipped(summary, first, allowed, workdir):
    """Raises UserError where too many clips have no scores, or all of them; first: the first such row, or None."""
    skipped = summary.clips - summary.scored
    example = f'the first is {first["clip"]} ({first["reason"]})' if first else ''
    if not summary.scored:
        none = plural(skipped, 'the one clip is not usable', f'none of the {skipped} clips is usable')
        raise UserError(f'{none}; {example}; all are listed in {workdir / SKIPPED}')
    check_share(skipped, summary.clips, allowed, example, workdir)
