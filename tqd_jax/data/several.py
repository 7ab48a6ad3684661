"""Several captions of a clip: which one an example gets. Loaders' workers import it, and no Arrow."""
import numpy as np

from transfer_jax.runtime.keys import host_generator

CAPTIONS = ('draw', 'first', 'join')  # how a clip's several captions are taken


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
