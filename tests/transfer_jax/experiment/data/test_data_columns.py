"""Tables of several files go together by the names of their columns; what spoils a column, a label or a file is said with its place."""
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sections import load

from transfer_jax.runtime.errors import UserError

ROWS = [('1', '2', 'a'), ('3', '4', 'b'), ('5', '6', 'a'), ('7', '8', 'b')]
KEYS = {'features': None, 'labels': 'label'}


def write(path, names='u,v,label', rows=ROWS, encoding='utf-8'):
    """A CSV file of rows of texts."""
    path.write_bytes('\n'.join([names, *map(','.join, rows), '']).encode(encoding))


def refusal(path, **keys):
    """The one line that load answers with."""
    with pytest.raises(UserError) as error:
        load(path, **KEYS | keys)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_columns_in_another_order_go_where_their_names_say(tmp_path):
    write(tmp_path / 'a.csv')
    write(tmp_path / 'b.csv', 'label,v,u', [row[::-1] for row in ROWS])
    pa.parquet.write_table(pa.table({'v': [2, 4, 6, 8], 'label': list('abab'), 'u': [1, 3, 5, 7]}), tmp_path / 'c.parquet')
    domains = load(tmp_path, **KEYS)
    for name in 'abc':
        assert domains[name].inputs.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_columns_of_other_names_are_refused_though_there_are_as_many(tmp_path):
    write(tmp_path / 'a.csv')
    write(tmp_path / 'b.csv', 'u,w,label')
    line = refusal(tmp_path)
    assert 'a.csv has 1 column of features' in line and "b.csv has not, or has as text, the first 'v'" in line
    write(tmp_path / 'b.csv', 'u,v,w,label', [('1', *row) for row in ROWS])
    assert f"{tmp_path / 'b.csv'} has 1 column of features that {tmp_path / 'a.csv'} has not" in refusal(tmp_path)


@pytest.mark.parametrize('spoilt', ['?', '1.2.3'])
def test_a_column_that_one_value_makes_text_is_not_dropped(tmp_path, spoilt):
    write(tmp_path / 'a.csv', 'u,v,label,d', [(*row, d) for row, d in zip([*ROWS[:3], ('7', spoilt, 'b')] * 2, 'ppppqqqq', strict=True)])
    assert f"a.csv: the column 'v' is text, since its row 3 is '{spoilt}'" in refusal(tmp_path / 'a.csv')


def test_decimal_commas_are_refused_and_columns_of_words_are_left_out(tmp_path):
    (tmp_path / 'a.csv').write_text('u;label\n1,5;a\n2,5;b\n')
    assert "the column 'u' is text, since its row 0 is '1,5'" in refusal(tmp_path / 'a.csv', domain=None)
    write(tmp_path / 'a.csv', 'u,word,label', [(row[0], f'w{row[1]}', row[2]) for row in ROWS])
    assert np.array_equal(load(tmp_path / 'a.csv', domain=None, **KEYS)['a'].inputs, [[1], [3], [5], [7]])


def test_labels_that_are_empty_or_no_text_are_refused(tmp_path):
    write(tmp_path / 'a.csv', rows=[*ROWS[:2], ('5', '6', ' '), ROWS[3]])
    assert 'a.csv: the label of row 2 is empty' in refusal(tmp_path / 'a.csv', domain=None)
    write(tmp_path / 'a.csv', rows=[(*row[:2], 'é') for row in ROWS], encoding='latin-1')
    assert 'a.csv: a label holds bytes that are no plain text' in refusal(tmp_path / 'a.csv', domain=None)


def test_a_table_without_rows_is_said_to_be_empty(tmp_path):
    write(tmp_path / 'a.csv', rows=[])
    assert 'a.csv is empty' in refusal(tmp_path / 'a.csv', domain=None)


def test_features_with_an_example_a_column_are_refused_with_the_remedy(tmp_path):
    np.savez(tmp_path / 'a.npz', x=np.ones((3, 4)), label=list('abab'))
    assert '3 rows of features for 4 labels; it has an example a column: save the transpose' in refusal(tmp_path / 'a.npz', domain=None,
                                                                                                     features='x')


def test_keys_that_nothing_reads_are_refused(tmp_path):
    write(tmp_path / 'a.csv')
    assert "config.data.index_base = 'one' is for svmlight files" in refusal(tmp_path / 'a.csv', domain=None, index_base='one')
    write(tmp_path / 'a.csv', rows=[row[:1] + row[:2] for row in ROWS])
    assert "config.data.classes = 'union' is for classes" in refusal(tmp_path / 'a.csv', domain=None, task='regression', classes='union')
