"""The reader of scores.parquet: what it reads is what lies there, and no other module opens the file."""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tqd_jax.scoring import scores
from tqd_jax.scoring.scores import read_scores

ROWS = 25


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of which every third row has a reason, in row groups of 10, read 4 rows at a time."""
    monkeypatch.setattr(scores, 'ROWS', 4)
    refused = np.arange(ROWS) % 3 == 0
    names = [f'é{i}.mp4' for i in range(ROWS)]
    columns = {'clip': names, 'motion': pa.array(np.arange(ROWS) / 2, mask=refused),
               'width': pa.array(np.arange(ROWS, dtype=np.int32), mask=refused),
               'id': [None if i == 7 else f'{i:08x}' for i in range(ROWS)],
               'reason': [f'reason {i}' if bad else None for i, bad in enumerate(refused)]}
    pq.write_table(pa.table(columns), tmp_path / 'scores.parquet', row_group_size=10)
    return read_scores(tmp_path / 'scores.parquet'), refused


def test_what_the_file_has(table):
    file, _ = table
    assert (file.clips, file.columns, file.numeric) == (ROWS, ('clip', 'motion', 'width', 'id', 'reason'), ('motion', 'width'))


def test_numbers_are_floats_with_nan_for_null(table):
    file, refused = table
    for name, values in (('motion', np.arange(ROWS) / 2), ('width', np.arange(ROWS))):
        every, scored = file.numbers(name), file.numbers(name, 'scores')
        assert every.dtype == scored.dtype == np.float64
        np.testing.assert_array_equal(every, np.where(refused, np.nan, values))
        np.testing.assert_array_equal(scored, values[~refused])


def test_batches_have_the_rows_and_columns_that_are_named(table):
    file, refused = table
    for which, chosen in (('all', np.arange(ROWS)), ('scores', np.flatnonzero(~refused)), ('reason', np.flatnonzero(refused))):
        batches = list(file.batches(['width', 'clip'], which))
        assert {tuple(batch.schema.names) for batch in batches} == {('width', 'clip')} and max(map(len, batches)) <= 4
        assert [name for batch in batches for name in batch['clip'].to_pylist()] == [f'é{i}.mp4' for i in chosen]
    with pytest.raises(KeyError):
        list(file.batches(['clip'], 'usable'))


def test_texts_of_rows_come_in_the_order_that_is_wanted(table):
    file, _ = table
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(ROWS), 2))
    assert file.texts('id', rows) == [None if row == 7 else f'{row:08x}' for row in rows]
    assert file.texts('id', rows[:0]) == []


def test_a_table_without_rows_is_empty(tmp_path):
    pq.write_table(pa.table({'clip': pa.array([], pa.string()), 'motion': pa.array([], pa.float64())}), tmp_path / 'scores.parquet')
    file = read_scores(tmp_path / 'scores.parquet')
    assert file.clips == 0 and file.numbers('motion').shape == (0,) and list(file.batches(['clip'])) == []
    with pytest.raises(OSError):
        read_scores(tmp_path / 'nowhere.parquet')
