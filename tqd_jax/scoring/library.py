"""A library of clips becomes scores.parquet: the one way there, of python -m tqd_jax.score and of training."""
import dataclasses
import itertools
import os
import sqlite3
import tempfile

from tqd_jax.scoring.importers.clips import clips_table
from tqd_jax.scoring.measure import library_rows, progress_bar
from tqd_jax.scoring.normaliser import KINDS
from tqd_jax.scoring.plugins.columns import score_learned, with_learned
from tqd_jax.scoring.plugins.scorers import load_scorers
from tqd_jax.scoring.scores import read_scores
from tqd_jax.scoring.store import RowStore, local_store
from tqd_jax.scoring.table import SCHEMA, load_maps, write_scores
from tqd_jax.scoring.versions import is_ours
from tqd_jax.scoring.visual import niqe_model
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.paths import check_store, is_remote, make_folder, path_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What was written: the number of clips and of those with scores, the Normalisers {'motion', 'visual'}, and whether mq and vq are
    theirs (else the clips came with both)."""
    clips: int
    scored: int
    maps: dict
    mapped: bool


def score_library(config, *, flag='--clips', for_training=False, check=lambda table: None, refuse=lambda row: None):
    """Scores the clips of a ScoreConfig, writes its `output`, and returns a Summary.

    flag: how the user named the clips, for messages. for_training: every row gets its size and duration, so clips are measured even where
    both their scores are given; and a scores.parquet of one version of this scorer stands as it is, whatever its settings, with its mq and
    vq. check: a function of the table of clips that raises UserError, called first.
    refuse: a function of a scored row that gives the reason why it is of no use, or None.
    Raises UserError, before anything is measured, where the config cannot be followed.
    """
    normaliser, table = normaliser_of(config.normaliser), clips_table(config.clips, config.scores, config.tool, flag, config.columns)
    check(table)
    if config.niqe:
        niqe_model.load(config.niqe)
    own = [] if is_ours(table) else table.column_names
    scorers = load_scorers(config.scorers, taken=(*SCHEMA.names, *own))
    check_places(config)
    with local_store(config.store_path) as store:
        return _written(dataclasses.replace(config, store=store), table, scorers, normaliser, for_training=for_training, refuse=refuse)


def _written(config, table, scorers, normaliser, *, for_training, refuse):
    """score_library, its config checked and its store a local file."""
    table, rows = library_rows(config, table, for_training=for_training)
    usable = lambda: (_refuse(row, refuse) for row in rows())
    for scorer in scorers:
        _score_learned(config, scorer, usable)
    columns = tuple(column for scorer in scorers for column in scorer.columns)
    all_rows = lambda: with_learned(scorers, usable(), config.store_path, config.settings.pictures)
    maps, scored = write_scores(config.output, table, all_rows, normaliser, columns)
    return Summary(clips=len(table), scored=scored, maps=maps, mapped='mq' not in table.column_names)


def normaliser_of(name):
    """A kind, or the fitted {'motion', 'visual'} of a file."""
    if name in KINDS:
        return name
    try:
        return load_maps(name)
    except (OSError, ValueError) as error:
        raise UserError(f'--normaliser={name} is neither {", ".join(KINDS)} nor a normaliser.json ({error})') from None


def check_places(config):
    """Makes the folders of the store and the output. Raises UserError where one of the two cannot be written, or `scratch` is of no use."""
    store, output = path_of(config.store_path), path_of(config.output)
    if config.scratch and not config.beam:
        raise UserError(f'--scratch={config.scratch} is a folder of --beam, which is missing')
    if os.path.isdir(output):
        raise UserError(f'--output={output} is a folder; name a file, such as {os.path.join(output, "scores.parquet")}')
    try:
        for path in (store, output):
            check_store(path.parent)  # hours before the table is written
            make_folder(path.parent)
            if not is_remote(path):
                tempfile.TemporaryFile(dir=path.parent).close()
        if not is_remote(store):
            with RowStore(store, config.settings.version):
                pass
    except (OSError, sqlite3.Error) as error:
        raise UserError(f'measured rows cannot be kept in {store}, or {output} not be written ({error})') from error


def unread(output):
    """How many clips of a scores.parquet could not be read, or not in time."""
    return sum(batch['id'].null_count for batch in read_scores(output).batches(['id'], 'reason'))


def _refuse(row, refuse):
    reason = None if 'reason' in row else refuse(row)
    return row | {'reason': reason} if reason else row


def _score_learned(config, scorer, rows):
    with progress_bar(scorer.name, 'clip') as progress:
        lacking = score_learned(scorer, rows(), config.store_path, batch=config.batch, workers=max(1, config.workers), progress=progress,
                                limits=config.limits, retry=config.retry, pictures=config.settings.pictures)
    for clip, reason in itertools.islice(lacking.items(), 1):
        print(f'{scorer.name}: {counted(len(lacking), "clip has", "clips have")} no value; {clip}: {reason}')
