"""K-shot splits of a target into rows that train, validate and test: seeded, stratified, disjoint, saved with the run."""
import dataclasses
import json
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.paths import AnyPath, path_of

PARTS = ('train', 'validation', 'test')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of a target, int64, each part sorted, no row in two of them."""
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def host_rng(seed: int, stream: str) -> np.random.Generator:
    """The NumPy generator of (seed, stream): randomness on the host, keyed like stream_key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(stream_key(seed, stream))))


def k_shot(labels: np.ndarray, *, shots: int, validation: int, test: int | None, seed: int, classes: tuple[str, ...] | None) -> Split:
    """The Split of the rows of labels [n] for a seed.

    Args:
      labels: int32 numbers of classes, or float32 values of a regression.
      shots: rows of each class to train on, at least 1; exactly that many.
      validation: rows of each class to validate on, 0 or more.
      test: rows to test on in all, stratified as nearly as whole rows can be; fewer where fewer remain, None for all that remain.
      seed: int.
      classes: the names of the classes by number; None for a regression, where shots and validation are rows in all.

    Raises:
      UserError: a class has too few rows, or nothing is left to test on.
    """
    labels = np.zeros(len(labels), np.int32) if classes is None else np.asarray(labels)
    names, rng = ('the target',) if classes is None else tuple(f'class {name!r} of the target' for name in classes), host_rng(seed, 'split')
    of_class = [rng.permutation(np.flatnonzero(labels == number)) for number in range(len(names))]
    for name, rows in zip(names, of_class, strict=True):
        if len(rows) < shots + validation:
            raise UserError(f'{name} has {counted(len(rows), "example")}, and {shots} to train on + {validation} to validate on are '
                            'wanted; '
                            'ask for fewer, or give more examples')
    rest = np.concatenate([rows[shots + validation:] for rows in of_class])
    if not len(rest) and test != 0:
        raise UserError(f'the target has {counted(len(labels), "example")}, and training and validation take all of them: none is '
                        'left to test on; '
                        'ask for fewer shots')
    test_rows = np.arange(len(rest)) if test is None else stratified_rows(labels[rest], test, rng)
    parts = np.concatenate([rows[:shots] for rows in of_class]), np.concatenate([rows[shots:shots + validation] for rows in of_class])
    return Split(**{part: np.sort(rows).astype(np.int64) for part, rows in zip(PARTS, (*parts, rest[test_rows]), strict=True)})


def stratified_rows(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """min(size, n) random rows of labels [n], sorted: of every class its share of them, rounded up or down."""
    classes, counts = np.unique(labels, return_counts=True)
    share = min(size, len(labels)) * counts / max(len(labels), 1)
    counts = np.floor(share + 1e-9).astype(int)
    short = min(size, len(labels)) - counts.sum()
    counts[np.argsort(counts - share, kind='stable')[:short]] += 1
    rows = [rng.permutation(np.flatnonzero(labels == number))[:n] for number, n in zip(classes, counts, strict=True)]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *rows]))


def same_splits(ours: Sequence[Split], theirs: Sequence[Split]) -> bool:
    """Whether two lists of Splits have the same rows in the same parts."""
    parts = lambda splits: [getattr(split, part) for split in splits for part in PARTS]
    return len(ours) == len(theirs) and all(map(np.array_equal, parts(ours), parts(theirs)))


def save_splits(path: str | AnyPath, splits: Mapping[str, Sequence[Split]]) -> None:
    """Writes {target: [Split of each seed]} as JSON, all or nothing."""
    plain = {target: [{part: getattr(split, part).tolist() for part in PARTS} for split in of_seed] for target, of_seed in splits.items()}
    write_atomically(path_of(path), json.dumps(plain).encode())


def load_splits(path: str | AnyPath) -> dict[str, list[Split]]:
    """The splits that save_splits wrote. Raises UserError where the file is absent or is not of splits."""
    try:
        stored = json.loads(path_of(path).read_text(encoding='utf-8'))
        return {target: [Split(**{part: np.array(split[part], np.int64) for part in PARTS}) for split in of_seed]
                for target, of_seed in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path} cannot be read as splits ({type(error).__name__}: {error}); '
                        'restore it, or start in another folder') from None
