"""What a kind of copy is: how it is made of a clip, and what each score must do."""
import dataclasses
from collections.abc import Callable

import numpy as np

FINE, USUAL = 10, 18  # constant rate factors: hardly any loss, and what people upload
CLIP = 'clip'  # the name of the clip as compared, beside its copies
VERBS = {'fall': 'falls', 'rise': 'rises', 'stay': 'stays', 'not rise': 'does not rise', 'not fall': 'does not fall'}
STAYS = 0.05  # how far a score that must stay may move, in shares of the clips' spread (5th to 95th percentile)
ROUNDING = 0.01  # share of itself by which a score that must not rise may rise, or fall where it must not fall: what encoding again does


@dataclasses.dataclass(frozen=True)
class Must:
    """What a column of the row must do from the copy named `than` to this one; a column that is null counts as 0."""
    score: str
    verb: str
    than: str = CLIP

    def __post_init__(self):
        if self.verb not in VERBS:
            raise ValueError(f'{self.verb!r} is not one of {", ".join(VERBS)}')

    def holds(self, base, copy):
        """bool [clips], of the column's values float [clips] of the copies named `than` and of these copies."""
        base, copy = np.nan_to_num(np.asarray(base, float)), np.nan_to_num(np.asarray(copy, float))
        spread = np.subtract(*np.percentile(base, [95, 5])) or np.ptp(base) or 1.0
        return {'fall': copy < base, 'rise': copy > base, 'stay': np.abs(copy - base) <= STAYS * spread,
                'not rise': copy <= base * (1 + ROUNDING), 'not fall': copy >= base * (1 - ROUNDING)}[self.verb]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of copy. make: (frames uint8 [F, H, W, 3], frames a second) -> the copy's frames and rate; crf: what it is encoded at.

    The copy's sides must be even. `name` is the file's name and the page's words. `group` is the heading that the page's sums are under.
    """
    name: str
    make: Callable
    musts: tuple[Must, ...]
    crf: int = USUAL
    group: str = 'damage and speed'
