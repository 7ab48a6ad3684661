"""predictions.parquet: its columns, types and groups, written whole or not at all; and the reliability diagrams of a page."""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.special

from transfer_jax.experiment.plots import bars
from transfer_jax.experiment.scores import predictions
from transfer_jax.experiment.scores.calibration import bins_of
from transfer_jax.experiment.scores.page import add_calibration, meanings
from transfer_jax.experiment.scores.predictions import Block, write_predictions
from transfer_jax.runtime.page import Page


def block(target, method, outputs, labels):
    return Block(target=target, method=method, seeds=(7, 8), rows=[np.arange(3), np.array([4, 5])], labels=labels, outputs=outputs)


def test_a_row_for_every_target_seed_method_and_test_row(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, 'GROUP', 8)
    rng = np.random.default_rng(0)
    outputs = [rng.normal(size=(size, 2)).astype(np.float32) for size in (3, 2)]
    labels = [np.array([0, 1, 1]), np.array([1, 0])]
    blocks = [block(target, method, outputs, labels) for target in ('a', 'b') for method in ('uowq', 'wadn')]
    write_predictions(tmp_path / predictions.NAME, iter(blocks), ('a', 'b'), ('uowq', 'wadn'), ('cat', 'dog'))
    table, file = pq.read_table(tmp_path / predictions.NAME), pq.ParquetFile(tmp_path / predictions.NAME)
    assert table.column_names == ['target', 'method', 'seed', 'row', 'label', 'p_cat', 'p_dog'] and len(table) == 20
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [8, 10, 2]
    assert table.schema.field('p_cat').type == pa.float32() and pa.types.is_dictionary(table.schema.field('method').type)
    mine = [row for row in table.to_pylist() if (row['target'], row['method'], row['seed']) == ('b', 'wadn', 8)]
    assert [(row['row'], row['label']) for row in mine] == [(4, 'dog'), (5, 'cat')]
    np.testing.assert_allclose([[row['p_cat'], row['p_dog']] for row in mine], scipy.special.softmax(outputs[1], 1), rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [predictions.NAME]


def test_values_of_a_regression_and_a_failure_that_leaves_the_former_file(tmp_path):
    outputs, labels = [np.array([[1.5], [2.5], [0.0]]), np.zeros((2, 1))], [np.array([1.0, 2.0, 0.5]), np.ones(2)]
    path = tmp_path / predictions.NAME
    write_predictions(path, [block('a', 'uowq', outputs, labels)], ('a',), ('uowq',), None)
    assert pq.read_table(path).to_pylist()[1] == {'target': 'a', 'method': 'uowq', 'seed': 7, 'row': 1, 'label': 2.0, 'value': 2.5}
    before = path.read_bytes()

    def failing():
        yield block('a', 'uowq', outputs, labels)
        raise RuntimeError('half way')
    with pytest.raises(RuntimeError, match='half way'):
        write_predictions(path, failing(), ('a',), ('uowq',), None)
    assert path.read_bytes() == before and [other.name for other in tmp_path.iterdir()] == [path.name]


def test_a_page_has_the_diagram_of_every_main_method():
    p = np.random.default_rng(0).random(200)
    bins = {name: [bins_of(p, p > 0.5).plain()] * 2 for name in ('target_only', 'uowq', 'mcw')}
    page = Page('t')
    add_calibration(page, bins, {name: [0.1, 0.2] for name in bins}, 'yes')
    html = page.render()
    assert html.count('<svg') == 2 and 'calibration error 0.150 ± 0.050' in html and 'mcw' not in html and 'of the class' in html
    assert "of the class 'yes'" in meanings(('auc', 'log_loss'), 'yes') and 'the mean over classes' in meanings(('auc',), None)
    assert meanings(('accuracy', 'explained_variance'), None) == ''


def test_bars_of_negative_scores_are_seen():
    axes = bars(['a', 'b'], [-0.4, 0.2], [None, 0.1], 'explained variance', ()).axes[0]
    assert axes.get_xlim()[0] < -0.4
    assert bars(['a'], [0.1], [None], 'accuracy', ()).axes[0].get_xlim()[0] == 0
