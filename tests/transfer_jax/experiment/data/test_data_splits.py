"""Splits: exact shots, nothing twice, test rows in the target's own proportions, and the same again from disk."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_jax.experiment.data.splits import PARTS, Split, host_rng, k_shot, load_splits, save_splits, stratified_rows
from transfer_jax.runtime.errors import UserError

NAMES = ('ant', 'bee', 'cow', 'dog')
counts = st.lists(st.integers(6, 40), min_size=4, max_size=4)


def labels_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts), dtype=np.int32), counts))


def parts(split):
    return [getattr(split, part) for part in PARTS]


def assert_same(one, other):
    assert all(np.array_equal(a, b) and a.dtype == b.dtype == np.int64 for a, b in zip(parts(one), parts(other), strict=True))


@settings(max_examples=40, deadline=None)
@given(counts, st.integers(1, 4), st.integers(0, 1), st.none() | st.integers(1, 99), st.integers(0, 2**31 - 1))
def test_every_class_has_its_shots_and_no_row_is_used_twice(counts, shots, validation, test, seed):
    labels = labels_of(counts)
    split = k_shot(labels, shots=shots, validation=validation, test=test, seed=seed, classes=NAMES)
    rows = np.concatenate(parts(split))
    assert len(set(rows.tolist())) == len(rows) and rows.min() >= 0 and rows.max() < len(labels)
    assert np.bincount(labels[split.train]).tolist() == [shots] * 4
    assert np.bincount(labels[split.validation], minlength=4).tolist() == [validation] * 4
    rest = len(labels) - 4 * (shots + validation)
    assert len(split.test) == (rest if test is None else min(test, rest))
    assert all((np.diff(part) > 0).all() for part in parts(split))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 250))
def test_a_stratified_draw_is_within_one_row_of_every_share(counts, size):
    labels = labels_of(counts)
    rows = stratified_rows(labels, size, np.random.default_rng(0))
    size = min(size, len(labels))
    assert len(set(rows.tolist())) == len(rows) == size
    for kind, count in enumerate(counts):
        share = size * count / len(labels)
        assert math.floor(share - 1e-6) <= np.sum(labels[rows] == kind) <= math.ceil(share + 1e-6)


def test_a_seed_gives_one_split_and_another_seed_another():
    labels = labels_of([50] * 4)
    deal = lambda seed: k_shot(labels, shots=5, validation=2, test=40, seed=seed, classes=NAMES)
    assert_same(deal(3), deal(3))
    assert all(not np.array_equal(a, b) for a, b in zip(parts(deal(3)), parts(deal(4)), strict=True))


def test_every_row_is_as_likely_to_be_drawn():
    labels = labels_of([10, 30])
    draws = np.zeros(40)
    for seed in range(300):
        draws[k_shot(labels, shots=5, validation=0, test=0, seed=seed, classes=NAMES[:2]).train] += 1
    expected = np.where(labels == 0, 150, 50)
    assert np.sum((draws - expected)**2 / (expected * (1 - expected / 300))) < 38 + 4 * math.sqrt(2 * 38)  # chi-square, two constraints


def test_a_regression_counts_rows_in_all():
    split = k_shot(np.linspace(0, 1, 20, dtype=np.float32), shots=5, validation=3, test=None, seed=0, classes=None)
    assert [len(part) for part in parts(split)] == [5, 3, 12] and sorted(np.concatenate(parts(split))) == list(range(20))


def test_one_shot_without_validation_is_enough():
    split = k_shot(labels_of([2] * 4), shots=1, validation=0, test=None, seed=0, classes=NAMES)
    assert [len(part) for part in parts(split)] == [4, 0, 4]


@pytest.mark.parametrize(('labels', 'classes', 'message'), [
    (labels_of([9, 9, 3, 9]), NAMES, "class 'cow' of the target has 3 examples, and 3 to train on + 1 to validate on are wanted"),
    (labels_of([9, 9, 9]), NAMES, "class 'dog' of the target has 0 examples"),
    (np.zeros(1, np.int32), NAMES, "class 'ant' of the target has 1 example"),
    (np.zeros(1, np.float32), None, 'the target has 1 example, and 3 to train on'),
    (labels_of([4] * 4), NAMES, 'none is left to test on'),
])
def test_a_target_that_is_too_small_is_named(labels, classes, message):
    with pytest.raises(UserError, match=message.replace('+', r'\+')) as error:
        k_shot(labels, shots=3, validation=1, test=None, seed=0, classes=classes)
    assert '\n' not in str(error.value)


def test_splits_come_back_as_they_were(tmp_path):
    labels = labels_of([20] * 4)
    splits = {target: [k_shot(labels, shots=2, validation=0, test=9, seed=seed, classes=NAMES) for seed in range(3)]
              for target in ('a/b', 'photo, ü')}
    save_splits(tmp_path / 'splits.json', splits)
    again = load_splits(tmp_path / 'splits.json')
    assert list(again) == list(splits) and [path.name for path in tmp_path.iterdir()] == ['splits.json']
    for target in splits:
        for one, other in zip(splits[target], again[target], strict=True):
            assert_same(one, other)


@pytest.mark.parametrize('text', [None, '', '[]', '{"a": [{"train": [1]}]}', '{"a": {"b": 1}}'])
def test_a_damaged_file_of_splits_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / 'splits.json').write_text(text)
    with pytest.raises(UserError, match=r'splits\.json cannot be read as splits'):
        load_splits(tmp_path / 'splits.json')


def test_host_streams_are_independent_and_repeatable():
    draw = lambda seed, stream: host_rng(seed, stream).integers(2**62)
    assert draw(0, 'split') == draw(0, 'split') and len({draw(0, 'split'), draw(1, 'split'), draw(0, 'subset')}) == 3
    assert isinstance(k_shot(np.zeros(3, np.int32), shots=1, validation=0, test=0, seed=0, classes=('a',)), Split)
