"""Kinds of copies of the benchmark of scores: what must come true is decided right, and names are those of files."""
import numpy as np
import pytest

from benchmarks.scoring.copies import KINDS
from benchmarks.scoring.kind import CLIP, Must


@pytest.mark.parametrize(('verb', 'right'), [('fall', [1, 0, 0]), ('rise', [0, 0, 1]), ('stay', [0, 1, 0]), ('not rise', [1, 1, 0]),
                                             ('not fall', [0, 1, 1])])
def test_what_must_come_true(verb, right):
    base, copy = np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, 3.5])
    assert Must('visual', verb).holds(base, copy).tolist() == [bool(value) for value in right]


def test_null_counts_as_nothing_and_an_unknown_verb_is_refused():
    assert Must('overlay', 'rise').holds([None, 0.1], [0.2, None]).tolist() == [True, False]
    with pytest.raises(ValueError, match='grow'):
        Must('visual', 'grow')


def test_every_kind_has_its_own_name_and_is_compared_with_one_that_is_there():
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names) and not any('/' in name for name in names)
    assert all(must.than in (CLIP, *names) for kind in KINDS for must in kind.musts)
