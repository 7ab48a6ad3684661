"""The section on what the law did: its figures are scipy's, its words follow the interval, and what is missing costs a sentence."""
import json

import numpy as np
import pytest
from page_reader import Reader
from scipy import stats

from tqd_jax.clips.write import write_clip
from tqd_jax.report.comparison import verdicts
from tqd_jax.report.page import write_report

TITLE, COUNT = 'What the timestep law did to this run', 10


def made(folder, steps=8, compare='uniform', law='beta', changes=(), **more):
    """A folder with a comparison of COUNT samples; more: keys of its record."""
    rng = np.random.default_rng(0)
    second = folder / 'compare/uniform'
    scores = lambda shift: {'motion': (0.2 + shift + rng.normal(0, 0.02, COUNT)).tolist(), 'visual': rng.uniform(size=COUNT).tolist()}
    record = {'law': law, 'against': 'uniform', 'steps': 8, 'dropout': 'sampler', 'captions': [f'disc <{i}>' for i in range(COUNT)],
              'start': scores(0), 'second': scores(0), 'run': scores(0.1), 'data': scores(0), **more}
    for column in ('start', 'second', 'run'):
        (second / 'samples' / column).mkdir(parents=True)
        for number in range(COUNT):
            write_clip(second / 'samples' / column / f'{number:02d}.mp4', np.full((3, 16, 16, 3), 20 * number, np.uint8), 8)
    (second / 'comparison.json').write_text(json.dumps(record))
    (folder / 'config.json').write_text(json.dumps({'compare': compare, 'law': {'kind': law}}))
    (folder / 'summary.json').write_text(json.dumps({'steps': steps}))
    (folder / 'changes.jsonl').write_text(''.join(json.dumps(change) + '\n' for change in changes))
    return record


def test_the_figures_are_scipys_and_eight_videos_play(tmp_path):
    record = made(tmp_path)
    reader = Reader(write_report(tmp_path).read_text())
    words = ' '.join(reader.words)
    assert words.index('The same run was made twice') < words.index('Each clip is scored'), 'what the page is opened for stands first'
    difference = np.subtract(record['run']['motion'], record['second']['motion'])
    interval = stats.ttest_rel(record['run']['motion'], record['second']['motion']).confidence_interval(0.95)
    cell = f'{difference.mean():.3g} [{interval.low:.3g}, {interval.high:.3g}]'
    assert cell in reader.words and f'The samples of TQD have more motion than those of uniform: by {cell}, 10 of each.' in words
    for column in ('start', 'second', 'run'):
        values = np.array(record[column]['visual'])
        interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert f'{values.mean():.3g} [{interval.low:.3g}, {interval.high:.3g}]' in reader.words
    assert f'{np.mean(record["data"]["motion"]):.3g}' in reader.words
    assert 'Visual quality of TQD and uniform cannot be told apart at 10 samples: the difference is' in words
    assert 'This is of one training by each law' in words and 'quality dropout in both' in words
    assert [video['aria-label'] for video in reader.all('video')] == [f'before training, uniform, TQD: disc <{i}>' for i in range(8)]


def test_the_words_follow_the_interval():
    record = {'law': 'exact_base', 'against': 'offset', 'run': {'motion': [0.1, 0.11, 0.12], 'visual': [1.0, 0.0, 0.5]},
              'second': {'motion': [0.2, 0.22, 0.24], 'visual': [0.5, 0.5, 0.5]}}
    assert verdicts(record) == [
        'The samples of TQD (exact_base) have less motion than those of offset: by 0.11 [0.0852, 0.135], 3 of each.',
        'Visual quality of TQD (exact_base) and offset cannot be told apart at 3 samples: the difference is 0 [-1.24, 1.24].',
        'This is of one training by each law: another seed would give other figures.']
    record = {'law': 'beta', 'against': 'uniform', 'run': {'motion': [5.0], 'visual': [1.0]}, 'second': {'motion': [0.0], 'visual': [1.0]}}
    assert verdicts(record)[0] == 'Motion of TQD and uniform cannot be told apart at 1 sample: one has no interval.'


@pytest.mark.parametrize(('options', 'words'), [
    ({'steps': 16}, 'The second run, by the uniform law, is not done yet: the same command goes on with it.'),
    ({'changes': [{'step': 4, 'clips': {}, 'summary': 'a clip is gone', 'config': []}]}, 'went on with changes'),
    ({'compare': None}, None), ({'law': 'uniform'}, None)])
def test_what_is_not_there_is_said(tmp_path, options, words):
    made(tmp_path, **options)
    page = write_report(tmp_path).read_text()
    assert (TITLE in page) == (words is not None) and '<video' not in page
    assert words is None or words in ' '.join(Reader(page).words)


def test_a_learned_law_draws_in_another_order_and_the_page_says_so(tmp_path):
    made(tmp_path, law='learned')
    assert 'so the order of clips differs' in write_report(tmp_path).read_text()


@pytest.mark.parametrize(('captions', 'said'), [(['a disc'] * COUNT, 'has one caption'), ([''] * COUNT, 'has no caption, since the clips')])
def test_the_page_says_where_clips_have_no_captions(tmp_path, captions, said):
    made(tmp_path, captions=captions)
    assert f'Each video {said}' in ' '.join(Reader(write_report(tmp_path).read_text()).words)
