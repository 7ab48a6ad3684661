"""Several captions of a clip: which are taken of each, and which one an example gets."""
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transfer_jax.runtime.keys import host_generator

CAPTIONS = ('draw', 'first', 'join')  # how a clip's several captions are taken


def taken_captions(batch, how: str):
    """(the first caption of each row, int64 [n] how many further ones it has, these end to end), Arrow arrays of text, of a batch of rows.

    how: of CAPTIONS: 'draw' takes them all, 'first' no further ones, 'join' puts all into the first.
    """
    first, none = pc.fill_null(batch['caption'], ''), pa.array([], pa.string())
    if how == 'first' or 'captions' not in batch.schema.names or batch['captions'].null_count == len(batch):
        return first, np.zeros(len(batch), np.int64), none
    lists = batch['captions'].to_pylist()
    if how == 'join':
        return pa.array([' '.join(some) if some else one for some, one in zip(lists, first.to_pylist(), strict=True)], pa.string()), \
            np.zeros(len(batch), np.int64), none
    more = [some[1:] if some else [] for some in lists]
    return first, np.array([len(some) for some in more], np.int64), pa.array([one for some in more for one in some], pa.string())


def drawn_tokens(rows, clips, seed: int, step: int, examples):
    """What Rows have as tokens of the `clips` [B]: of a clip with several captions that of one, drawn by (seed, step, example)."""
    tokens, counts = rows.tokens[clips], rows.further[clips]
    if not counts.any():
        return tokens
    tokens = tokens.copy()
    for place in np.flatnonzero(counts):
        choice = int(host_generator(seed, 'caption', step, int(examples[place])).integers(counts[place] + 1))
        if choice:
            tokens[place] = rows.further_tokens[rows.further_start[clips[place]] + choice - 1]
    return tokens
