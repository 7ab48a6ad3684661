"""What a run does not use, or not whole: lists as JSON lines (skipped.jsonl of clips, cut_captions.jsonl), and the share that may be."""
import json

from tqd_jax.scoring.scores import read_scores
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of

SKIPPED = 'skipped.jsonl'


def add_lines(path, items):
    """Adds a line for each dict to the file, but for those that it has; whole or not at all, and without items the file stays."""
    if not items:
        return
    text = path.read_text() if path.exists() else ''
    there = set(text.splitlines())
    lines = [line for line in map(json.dumps, items) if line not in there]
    write_atomically(path, (text + ''.join(f'{line}\n' for line in lines)).encode())


def clips_of_table(workdir):
    """The number of clips in a prepared folder's scores.parquet, those without scores too."""
    return read_scores(path_of(workdir) / 'scores.parquet').clips


def check_share(skipped, clips, allowed, why, workdir):
    """Raises UserError where more of the clips are skipped than config.data.max_skipped_fraction, `allowed`. why: a part of the message."""
    if skipped / max(1, clips) > allowed:
        raise UserError(f'{skipped} of {counted(clips, "clip")} cannot be used, more than '
                        f'config.data.max_skipped_fraction={allowed:g}; {why}; '
                        f'all are listed in {path_of(workdir) / SKIPPED}')
