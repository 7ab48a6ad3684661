"""The transfer job from data to report on the shipped config, shrunk: what a run leaves, kinds of data and models, and devices."""
import contextlib
import html.parser
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
import sklearn.metrics
import transfer_job
from sections import load
from state_dicts import saved, timm_vit

from configs import transfer
from transfer_jax.experiment.planned import NO_GRAM
from transfer_jax.runtime.metrics import read_metrics

METHODS = transfer.get_config().transfer.methods
FEW, TWO = "('target_only','all_sources','uowq')", "('target_only','all_sources')"
TARGETS, EXAMPLES = ('scan', 'swapped'), 100


@pytest.fixture(scope='module')
def digits(tmp_path_factory, compiled):
    """(work directory, results, printed text) of every method on the embedded digits."""
    workdir, output = tmp_path_factory.mktemp('runs') / 'digits', io.StringIO()
    with contextlib.redirect_stdout(output):
        results = transfer_job.run(workdir, **{'targets': TARGETS, 'data.max_per_domain': EXAMPLES, 'train.epochs': 1.0})
    return workdir, results, output.getvalue()


class Page(html.parser.HTMLParser):
    """The content of an HTML page: its tags, the addresses that it would load, and its text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.loaded, self.text = [], [], ''
        self.feed(path.read_text(encoding='utf-8'))
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        places = [value for name, value in attributes if name in ('src', 'href', 'xlink:href')]
        self.loaded += [place for place in places if not place.startswith(('data:', '#'))]

    def handle_data(self, data):
        self.text += data


def test_a_run_leaves_its_files(digits):
    workdir, results, _ = digits
    assert {path.name for path in workdir.iterdir()} == {'config.json', 'splits.json', 'results.json', 'predictions.parquet', 'report.html',
                                                     'targets'}
    assert json.loads((workdir / 'config.json').read_text()) == results['config']
    assert tuple(results['targets']) == TARGETS and set(results['sizes'].values()) == {EXAMPLES} and len(results['classes']) == 10
    for target in TARGETS:
        assert tuple(results['targets'][target]) == METHODS == tuple(results['summary'])
        assert results['sources'][target] == [name for name in results['sizes'] if name != target]
        lines = read_metrics(workdir / f'targets/{target}/logs/uowq/metrics.jsonl')
        assert [line['step'] for line in lines] == list(range(4, 4 * len(lines) + 1, 4))
        assert all(np.isfinite(line['loss']) for line in lines)
    assert results['skipped'][0]['reason'] == 'config.data.max_per_domain = 100 of 1797 examples used'
    assert not [path for path in workdir.rglob('*') if path.name.endswith(('.part', '.tmp', '.unfinished'))]


def test_the_report_stands_alone_and_the_table_is_printed(digits):
    workdir, results, output = digits
    page = Page(workdir / 'report.html')
    assert page.tags.count('svg') >= 4 and page.loaded == [] and '@import' not in page.text
    assert all(word in page.text for word in (*METHODS, *TARGETS, *results['sizes'], 'max_per_domain = 100 of 800'))
    table = output[output.index('method '):].splitlines()
    assert table[0].split() == ['method', 'average', *TARGETS, 'negative', 'drawn', 'seconds']
    for line, name in zip(table[1:], METHODS, strict=False):
        cells = line.replace(' ± ', '±').split()
        assert cells[0] == name and float(cells[1].split('±')[0]) == pytest.approx(
            np.mean([seed['accuracy'] for target in TARGETS for seed in results['targets'][target][name]['test']]), abs=6e-4)


def test_the_report_begins_with_what_the_sources_are_worth(digits):
    workdir, results, output = digits
    page = Page(workdir / 'report.html')
    assert page.text.index('What the sources are worth') < page.text.index('Scores') and 'cannot tell' in page.text
    for target in TARGETS:
        plan = results['plan'][target]
        assert plan['names'] == results['sources'][target] and plan['sizes'] == [EXAMPLES] * 5 and plan['missing'] is None
        for seed in plan['seeds']:
            low, high = np.array(seed['intervals']).T
            assert ((low <= seed['weights']) & (seed['weights'] <= high)).all()
            assert seed['worth'] == pytest.approx(sum(seed['weights']) * EXAMPLES)
        line = next(line for line in output.splitlines() if line.startswith(f'target {target}: '))
        assert 'the folds favour' in line and line in page.text


def test_splits_are_k_shot_stratified_and_disjoint(digits):
    splits, domains = json.loads((digits[0] / 'splits.json').read_text()), load(None, max_per_domain=EXAMPLES)
    for target in TARGETS:
        labels = domains[target].labels
        for split in splits[target]:
            for part in ('train', 'validation'):
                assert np.bincount(labels[split[part]]).tolist() == [2] * 10
            rows = [row for part in split.values() for row in part]
            assert sorted(rows) == list(range(EXAMPLES)), 'a row is in two parts or in none'
        assert splits[target][0] != splits[target][1]


@pytest.mark.parametrize('method', ['target_only', 'all_sources', 'uowq'])
def test_scores_are_of_the_test_rows_by_the_last_parameters(digits, method):
    workdir, results, _ = digits
    domain, splits = load(None, max_per_domain=EXAMPLES)['scan'], json.loads((workdir / 'splits.json').read_text())['scan']
    fits = np.load(workdir / f'targets/scan/{method}.npz')
    for seed, split in enumerate(splits):
        x = domain.inputs[split['test']].reshape(-1, 256) / 255
        logits = x @ fits['params/head/kernel'][seed] + fits['params/head/bias'][seed]
        result = results['targets']['scan'][method]['test'][seed]
        assert result['accuracy'] == pytest.approx(np.mean(logits.argmax(1) == domain.labels[split['test']]))
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert result['loss'] == pytest.approx(sklearn.metrics.log_loss(domain.labels[split['test']], p, labels=range(10)), rel=1e-4)


def test_predictions_of_all_methods_give_the_scores_of_the_results(digits):
    workdir, results, _ = digits
    table = pa.parquet.read_table(workdir / 'predictions.parquet')
    test = json.loads((workdir / 'splits.json').read_text())
    assert len(table) == sum(len(METHODS) * len(split['test']) for splits in test.values() for split in splits)
    columns = {name: np.array(table[name].to_pylist()) for name in ('target', 'method', 'seed', 'row', 'label')}
    p = np.stack([table[f'p_{name}'].to_numpy() for name in results['classes']], 1)
    for target, method, seed in (('scan', 'uowq', 1), ('swapped', 'mcw', 0)):
        here = (columns['target'] == target) & (columns['method'] == method) & (columns['seed'] == seed)
        labels, found = columns['label'][here].astype(int), results['targets'][target][method]['test'][seed]
        assert columns['row'][here].tolist() == test[target][seed]['test']
        assert found['accuracy'] == pytest.approx(np.mean(p[here].argmax(1) == labels), abs=1e-9)
        assert found['log_loss'] == pytest.approx(-np.log(p[here, labels]).mean(), rel=1e-4)
        assert found['auc'] == pytest.approx(np.mean([sklearn.metrics.roc_auc_score(labels == c, p[here, c]) for c in range(10)]), rel=1e-3)
    assert results['metrics'][0] == 'accuracy' and results['positive'] is None
    assert 'Calibration' in Page(workdir / 'report.html').text


def test_draws_and_decisions_of_the_methods(digits):
    records = digits[1]['targets']['scan']
    passes = lambda n: 8 * max(8, int(np.ceil(n / 8)))  # one pass in batches of 8, at least 8 steps
    assert records['all_sources']['drawn'] == [passes(20 + 5 * EXAMPLES)] * 2 and records['target_only']['drawn'] == [64, 64]
    assert all(few < whole for few, whole in zip(records['otqms']['drawn'], records['all_sources']['drawn'], strict=True))
    assert records['mcw']['drawn'] == [0, 0]
    for name in ('otqms', 'otqms_exact', 'uowq', 'uowq_static', 'uowq_budget'):
        weights, quantities = np.array(records[name]['weights']), np.array(records[name]['quantities'])
        assert weights.shape == quantities.shape == (2, 5) and (weights >= 0).all() and ((0 <= quantities) & (quantities <= EXAMPLES)).all()
        assert (weights == 1).all() if name.startswith('otqms') else (quantities == EXAMPLES).all() or name == 'uowq_budget'
    assert np.sum(records['uowq_budget']['quantities'], 1).max() <= 0.25 * 5 * EXAMPLES + 1e-3
    assert records['uowq_dynamic']['history'][0]['step'] == 0 and len(records['uowq_dynamic']['history']) >= 2
    assert records['uowq']['history'] == []
    assert np.isfinite(np.array([records[name]['predicted'] for name in ('target_only', 'all_sources', 'otqms', 'uowq')])).all()


def same(ours, theirs, tolerance=1e-4):
    """All that our results have agrees with theirs: decisions, samples and scores."""
    for target, records in ours['targets'].items():
        for name, record in records.items():
            other = theirs['targets'][target][name]
            assert record['drawn'] == other['drawn']
            for key in ('weights', 'quantities', *(['predicted'] if record['predicted'] else [])):
                np.testing.assert_allclose(np.array(record[key], float), np.array(other[key], float), rtol=tolerance, atol=tolerance)
            loss = lambda record: [seed['loss'] for seed in record['test']]
            np.testing.assert_allclose(loss(record), loss(other), rtol=tolerance)


ARRAYS = {'targets': "('a',)", 'transfer.methods': FEW}


@pytest.fixture(scope='module')
def arrays(tmp_path_factory, compiled):
    """(folder, table, results) of one .npz of three domains."""
    folder, table = tmp_path_factory.mktemp('arrays'), transfer_job.table()
    np.savez(folder / 'all.npz', **table)
    return folder, table, transfer_job.run(folder / 'run', **{'data.path': folder / 'all.npz', **ARRAYS})


def test_the_same_numbers_in_other_files_give_the_same_results(arrays):
    folder, table, results = arrays
    (folder / 'mats').mkdir()
    for name in 'abc':
        here = table['d'] == name
        scipy.io.savemat(folder / f'mats/{name}.mat', {'fts': table['x'][here], 'labels': table['y'][here][:, None]})
    columns = {'kind': table['y'], 'place': table['d'], **{f'f{i}': table['x'][:, i] for i in range(4)}}
    pa.parquet.write_table(pa.table(columns), folder / 'all.parquet')
    others = ({'data.path': folder / 'mats', 'data.features': 'fts', 'data.labels': 'labels'},
              {'data.path': folder / 'all.parquet', 'data.features': 'f', 'data.labels': 'kind', 'data.domain': 'place'})
    for number, other in enumerate(others):
        same(transfer_job.run(folder / f'other{number}', **other, **ARRAYS), results)


def test_exact_fits_from_end_to_end(arrays, capsys):
    """The same splits; fits that are loaded and not solved again; methods without a meaning there are left out with a line."""
    folder = arrays[0]
    changes = {'data.path': folder / 'all.npz', **ARRAYS, 'train.solver': 'exact',
               'transfer.methods': "('target_only','cv_global','otqms_under','uowq')"}
    exact = transfer_job.run(folder / 'exact', **changes)
    assert tuple(exact['targets']['a']) == ('target_only', 'cv_global', 'uowq')
    assert exact['notes'] == ['otqms_under is left out: with exact fits it is otqms_exact'] and exact['notes'][0] in capsys.readouterr().out
    assert (folder / 'exact/splits.json').read_bytes() == (folder / 'run/splits.json').read_bytes()
    assert exact['plan']['a']['names'] == ['b', 'c'] and exact['plan']['a']['seeds'][1]['safe']
    assert exact['targets']['a']['cv_global']['drawn'][0] in (4, 28) and 'cv_global' in Page(folder / 'exact/report.html').text
    times = lambda: [path.stat().st_mtime_ns for path in sorted((folder / 'exact/targets').rglob('*')) if path.is_file()]
    before = times()
    again = transfer_job.run(folder / 'exact', **changes)
    assert (again['targets'], again['plan']) == (exact['targets'], exact['plan'])
    assert times() == before


def test_inputs_that_stay_on_the_host_and_replicas_one_by_one_change_nothing(arrays):
    """Nor do they measure G, so there is no plan, and the run says why."""
    folder, _, results = arrays
    host = transfer_job.run(folder / 'host', **{'data.path': folder / 'all.npz', 'data.resident_gb': 0, 'train.replicas': 1, **ARRAYS,
                                                'transfer.methods': TWO})
    same(host, results)
    page = Page(folder / 'host/report.html')
    assert host['plan'] == {} and NO_GRAM in host['notes'] and NO_GRAM in page.text and 'What the sources are worth' not in page.text


def test_eight_devices_give_the_results_of_one(arrays):
    folder, _, results = arrays
    same(transfer_job.run(folder / 'eight', devices=8, **{'data.path': folder / 'all.npz', **ARRAYS, 'transfer.methods': TWO}), results)


def test_a_source_of_one_class(arrays):
    """Of use or not, it is no error: every method's weights and scores are finite, and its class is the target's too."""
    folder, table, _ = arrays
    np.savez(folder / 'one_class.npz', **{**table, 'y': np.where(table['d'] == 'c', 0, table['y'])})
    results = transfer_job.run(folder / 'one_class', **{'data.path': folder / 'one_class.npz', 'data.classes': 'union', **ARRAYS,
                                                        'transfer.methods': "('target_only','all_sources','wadn','uowq')"})
    for name, record in results['targets']['a'].items():
        assert np.isfinite(record['weights']).all() and np.isfinite([list(seed.values()) for seed in record['test']]).all(), name
    assert results['sources'] == {'a': ['b', 'c']} and results['positive'] == '1'


def test_one_seed_without_folds_or_validation(arrays):
    """No standard error, no measured noise: everything still comes out, and is written as what it is."""
    folder, _, _ = arrays
    results = transfer_job.run(folder / 'one', **{'data.path': folder / 'all.npz', 'seeds': 1, 'transfer.folds': 0, 'data.validation': 0,
                                                  'data.shots': 1, 'data.test': 5, **ARRAYS, 'transfer.methods': "('uowq','mcw')"})
    record = results['targets']['a']['uowq']
    assert record['validation'] == [{'accuracy': None, 'loss': None}] and results['summary']['uowq']['average']['accuracy'][1] is None
    page = Page(folder / 'one/report.html').text
    assert 'uowq' in page and 'the target has no folds to leave out' in page
    assert results['plan']['a']['seeds'][0]['intervals'] is None


def test_a_regression_from_end_to_end(tmp_path, compiled):
    table = transfer_job.table(each=30)
    y = (table['x'] @ np.array([1, -2, 0.5, 0]) + 0.1 * np.random.default_rng(0).normal(size=len(table['x']))).astype(np.float32)
    np.savez(tmp_path / 'lines.npz', x=table['x'], y=y, d=table['d'])
    results = transfer_job.run(tmp_path / 'run', **{
        'data.path': tmp_path / 'lines.npz', 'data.task': 'regression', 'data.shots': 8, 'targets': "('b',)", 'train.min_steps': 100,
        'transfer.methods': "('target_only','uowq')"})
    assert np.isfinite([seed['intervals'] for seed in results['plan']['b']['seeds']]).all() and results['plan']['b']['labels'] == '8 labels'
    assert results['classes'] is None and 'Explained variance' in Page(tmp_path / 'run/report.html').text
    splits, x = json.loads((tmp_path / 'run/splits.json').read_text())['b'], table['x'][table['d'] == 'b']
    for name in ('target_only', 'uowq'):
        fits = np.load(tmp_path / f'run/targets/b/{name}.npz')
        for seed, split in enumerate(splits):
            assert [len(rows) for rows in split.values()] == [8, 2, 20]
            guess = x @ fits['params/head/kernel'][seed] + fits['params/head/bias'][seed]
            reference = sklearn.metrics.r2_score(y[table['d'] == 'b'][split['test']], guess[split['test'], 0])
            assert results['targets']['b'][name]['test'][seed]['accuracy'] == pytest.approx(reference, abs=1e-4)
    alone, ours = (results['summary'][name]['average']['loss'][0] for name in ('target_only', 'uowq'))
    assert ours < alone, 'two more domains with the same coefficients do not help'


IMAGES = {'data.image_size': 32, 'data.channels': 3, 'data.mean': '(0.5,)', 'data.std': '(0.25,)', 'data.test': 6, 'transfer.methods': FEW}


def test_a_convnet_on_a_tree_like_office_home_with_a_file_that_cannot_be_read(tmp_path, compiled):
    root = transfer_job.image_tree(tmp_path / 'tree')
    bad = root / 'Clipart/Mug/00003.jpg'
    bad.write_text('<html>404</html>')
    results = transfer_job.run(tmp_path / 'run', **{
        **IMAGES, 'data.path': root, 'targets': "('Art',)", 'model.kind': 'convnet', 'model.hidden': '(4,4,4)',
        'data.augment': 'crop_flip'})
    assert results['sizes'] == {'Art': 24, 'Clipart': 23, 'Real World': 24} and results['classes'] == ['Bike', 'Mug']
    assert [entry['file'] for entry in results['skipped']] == [str(bad)]
    assert str(bad) in Page(tmp_path / 'run/report.html').text
    assert results['sources'] == {'Art': ['Clipart', 'Real World']}


@pytest.fixture(scope='module')
def domainnet(tmp_path_factory):
    """(a tree with lists as DomainNet has them, a file of weights for a ViT-S/16 of four patches)."""
    folder = tmp_path_factory.mktemp('domainnet')
    root = transfer_job.image_tree(folder / 'tree', domains=('real', 'sketch'), each=8)
    for domain in ('real', 'sketch'):
        for part, numbers in (('train', range(5)), ('test', range(5, 7))):
            (root / f'{domain}_{part}.txt').write_text(''.join(f'{domain}/{kind}/{number:05}.jpg {label}\n' for number in numbers
                                                               for label, kind in enumerate(('Bike', 'Mug'))))
    return root, saved(timm_vit(dim=384, depth=12, patches=4, outputs=7), folder / 'vit.safetensors')


def test_the_head_of_a_pretrained_vit_on_lists_like_domainnet(domainnet, tmp_path, compiled):
    root, weights = domainnet
    results = transfer_job.run(tmp_path / 'run', **{
        **IMAGES, 'data.path': root, 'targets': "('real',)", 'model.kind': 'vit_s16', 'model.trainable': 'head', 'model.weights': weights,
        'transfer.methods': TWO})
    assert results['sizes'] == {'real': 14, 'sketch': 14}, 'the lists do not say what belongs'
    for words in ('its head of 7 outputs was left out', '384 features of every example were computed once'):
        assert any(words in note for note in results['notes']) and words in Page(tmp_path / 'run/report.html').text
    fits = np.load(tmp_path / 'run/targets/real/all_sources.npz')
    assert fits['params/head/kernel'].shape == (2, 384, 2) and np.isfinite(fits['params/head/kernel']).all()
