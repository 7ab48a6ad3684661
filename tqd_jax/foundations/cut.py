"""Captions that are longer than the text encoder reads: their list, and a line on how many of them become alike."""
import hashlib

from tqd_jax.data.skipped import add_lines
from transfer_jax.runtime.counts import counted

CUT = 'cut_captions.jsonl'


def what_is_read(captions, encoder) -> list:
    """Pairs of a caption and a digest of the tokens that the encoder reads of it: captions with one digest are one to the model."""
    return [(caption, hashlib.sha256(encoder.prepare([caption]).tobytes()).hexdigest()) for caption in captions]


def list_cut(pairs, length, workdir):
    """Adds the captions of what_is_read's pairs to cut_captions.jsonl of the folder, and prints how many become how many by the cut."""
    add_lines(workdir / CUT, [{'caption': caption} for caption, _ in pairs])
    if pairs:
        left = len({read for _, read in pairs})
        alike = f': {counted(len(pairs), "different caption")} become {left}' if left < len(pairs) else ''
        print(f'captions: {counted(len(pairs), "is", "are")} longer than {length} tokens and cut{alike}; see {workdir / CUT}; '
              f'the first is {pairs[0][0][:60]!r}', flush=True)
