"""What hashed words make of a library's captions: how many are cut, what is lost, and which clips become alike. Lines for the user."""
import numpy as np

from transfer_jax.runtime.counts import counted, plural

CHUNK = 4096  # captions whose words are counted at a time
ODD = np.uint64(0x9E3779B97F4A7C15)  # multiplies numbers to spread them over 64 bits


def caption_facts(captions, tokens, text) -> list[str]:
    """Lines on Strings of captions and their tokens [n, length] by a text encoder with `length` and counts(captions).

    Where nothing is lost and no clips are alike there are none.
    """
    full = np.flatnonzero(tokens[:, -1] != 0)  # only these may be cut
    counts = np.concatenate([np.zeros(0, np.int64), *(text.counts(list(captions[full[first:first + CHUNK]]))
                                                      for first in range(0, len(full), CHUNK))])
    cut, lines = counts > text.length, []
    if cut.any():
        words = int(counts.sum()) + int(np.count_nonzero(tokens)) - text.length * len(full)
        lost = int((counts - text.length)[cut].sum())
        lines.append(f'{int(cut.sum())} of {counted(len(captions), "caption")} {plural(cut.sum(), "is", "are")} longer than the '
                     f'{text.length} words that the model reads: '
                     f'{100 * lost / words:.0f} % of all words are cut; config.model.text_len={_enough(counts)} reads nearly all')
    alike = clips_alike(captions, tokens)
    if alike:
        lines.append(f'{alike} of {counted(len(captions), "clip")} have the same words for the model as another clip with another caption')
    return lines


def clips_alike(captions, tokens) -> int:
    """How many clips have the tokens of another clip whose caption differs."""
    spread = np.array([1], np.uint64)
    with np.errstate(over='ignore'):
        factors = np.cumprod(np.full(tokens.shape[1], ODD)) * spread
        key = (tokens.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
    text = np.fromiter((hash(' '.join(caption.lower().split())) for caption in captions), np.int64, len(captions))
    _, group = np.unique(key, return_inverse=True)
    pairs = np.unique(np.stack([group, text]), axis=1)[0]
    several = np.bincount(pairs, minlength=group.max(initial=0) + 1) > 1
    return int(several[group].sum())


def _enough(counts):
    """A power of two of words that 99 % of the long captions have at most."""
    return 1 << int(np.ceil(np.log2(max(1.0, np.quantile(counts, 0.99)))))
