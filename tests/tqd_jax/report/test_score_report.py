"""quality.html says what a made-up library holds, shows its clips without scripts, and stands clips, scores or files that are missing."""
import pathlib
import re
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from page_reader import Reader
from scipy import stats

from tqd_jax.clips.thumbnails import strip, thumbnails
from tqd_jax.clips.write import write_clip
from tqd_jax.report import plots
from tqd_jax.report.quality import quadrant_densities, write_quality_report
from tqd_jax.report.score_table import kind_of_reason, read_score_table
from tqd_jax.scoring.measures import VISUAL_FORMULA, visual_score
from tqd_jax.timesteps.quality import LawConfig

CLIPS, POINTS = 200, 60


def row(clip, number, **columns):
    return {'clip': str(clip), 'id': f'{number:032x}', 'motion': None, 'visual': None, 'mq': None, 'vq': None, 'width': 32, 'height': 32,
            'fps': 8.0, 'duration': 1.0, 'flow': None, 'scorer_version': 4, 'fingerprint': '', 'reason': None} | columns


def write(folder, rows):
    schema = pa.schema([('clip', pa.string()), ('id', pa.string()), *((name, pa.float64()) for name in ('motion', 'visual', 'mq', 'vq')),
                        ('width', pa.int64()), ('height', pa.int64()), *((name, pa.float64()) for name in ('fps', 'duration', 'flow')),
                        ('scorer_version', pa.int64()), ('fingerprint', pa.string()), ('reason', pa.string())])
    pa.parquet.write_table(pa.Table.from_pylist(rows, schema=schema), folder / 'scores.parquet')
    return folder / 'scores.parquet'


def scored(folder, count, rng):
    """Rows that name one of four real files each (one of them missing), with scores of known ranks and every tenth flow missing."""
    mq, vq = rng.uniform(size=(2, count))
    return [row(folder / f'{i % 4}<b>.mp4', i, motion=mq[i]**2, visual=vq[i]**3, mq=mq[i], vq=vq[i], flow=-mq[i] if i % 10 else None,
                fingerprint=rng.bytes(32).hex()) for i in range(count)]


@pytest.fixture(scope='module')
def made_up(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('scores'), np.random.default_rng(0)
    for number in range(3):
        write_clip(folder / f'{number}<b>.mp4', rng.integers(0, 256, (8, 32, 32 + 32 * number, 3), dtype=np.uint8), 8)
    rows = scored(folder, CLIPS, rng)
    rows[5]['fingerprint'] = rows[7]['fingerprint'] = rows[11]['fingerprint']
    rows += [row(f'bad/{i:02d}.mp4', CLIPS + i, reason=f'truncated: frames end at {i}.5 s of 90 s') for i in range(70)]
    rows += [row('empty.mp4', 0, reason='an empty file')]
    return write(folder, rows)


@pytest.fixture(scope='module')
def page(made_up):
    with mock.patch('tqd_jax.report.quality.POINTS', POINTS):
        write_quality_report(made_up, made_up.parent / 'quality.html', workers=2)
    return (made_up.parent / 'quality.html').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def columns(made_up):
    return {name: np.array(values[:CLIPS], float) for name, values in pyarrow.parquet.read_table(made_up).to_pydict().items()
            if name in ('motion', 'visual', 'mq', 'vq')}


def test_the_page_says_what_was_put_in(page, columns):
    words = Reader(page).words
    r = f'{stats.pearsonr(columns["motion"], columns["visual"]).statistic:.2f}'
    assert {str(CLIPS), str(CLIPS + 71), '71', r} <= set(words)
    moves, looks = columns['mq'] >= 0.5, columns['vq'] >= 0.5
    for name, chosen in (('golden', moves & looks), ('poor', ~moves & ~looks)):
        table_row = re.search(rf'<tr><td class="short">{name}</td>.*?</tr>', page)[0]
        assert f'>{chosen.sum()}<' in table_row and f'{chosen.mean():.1%}' in table_row
    assert {'truncated', '70', 'an empty file'} <= set(words) and page.count('truncated: frames end') == 50
    assert '3 clips look and move like another one, in 1 group' in page
    assert f'{CLIPS // 10} clips have none.' in page
    assert re.search(r'>flow</td><td[^>]*></td><td[^>]*>-1.00<', page)


def test_every_point_can_be_reached_and_shows_its_picture_inside_the_figure(page):
    reader = Reader(page)
    marks = [attributes for attributes in reader.all('g') if attributes.get('class') == 'mark']
    assert len(marks) == 2 * POINTS and all(mark['tabindex'] == '0' and '<b>.mp4, m' in mark['aria-label'] for mark in marks)
    assert not reader.all('script') and f'{POINTS} of {CLIPS} clips' in page
    shown = {use['href'][1:] for use in reader.all('use') if 'href' in use}
    assert shown <= {image.get('id') for image in reader.all('image')} and len(shown) == 4  # four different pictures, each held once
    boxes = [{name: float(rect[name]) for name in ('x', 'y', 'width', 'height')} for rect in reader.all('rect') if 'rx' in rect]
    width, height = map(float, reader.all('svg')[1]['viewbox'].split()[2:])
    assert len(boxes) == len(marks)
    assert all(box['x'] >= 0 and box['y'] >= 0 and box['x'] + box['width'] <= width and box['y'] + box['height'] <= height for box in boxes)


def test_contact_sheets_show_the_extremes_in_order(page, columns):
    for title, first in (('Most motion', columns['motion'].max()), ('Least visual quality', columns['visual'].min())):
        assert re.search(rf'<h3>{title}</h3>.*?<b>[\w ]+ ([^<]*)</b>', page, re.DOTALL)[1] == f'{round(first, 4):.3g}'
    assert page.count('class="strips"') == 4


def test_the_sample_depends_on_ids_and_seed_alone(made_up, tmp_path):
    table = pyarrow.parquet.read_table(made_up)
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    pa.parquet.write_table(shuffled, tmp_path / 'scores.parquet')
    sample = lambda path, seed=0: set((lambda t: t.texts('id', t.order[:50]))(read_score_table(path, seed)))
    assert sample(made_up) == sample(tmp_path / 'scores.parquet') != sample(made_up, seed=1)


def test_densities_are_the_mean_of_scipys(made_up):
    table = read_score_table(made_up)
    grid, density = quadrant_densities(table, LawConfig())
    mean, total = 0.5 + 0.5 * (table.mq - table.vq), 2 + 6 * np.abs(table.mq - table.vq)
    alpha, beta = np.maximum(mean * total, 0.2), np.maximum((1 - mean) * total, 0.2)
    expected = stats.beta(alpha[:, None], beta[:, None]).pdf(grid)
    for q in range(4):
        np.testing.assert_allclose(density[q], expected[table.quadrant == q].mean(axis=0), rtol=2e-3)


@pytest.mark.parametrize('count', [0, 1, 2])
def test_few_clips_are_enough(tmp_path, count):
    page = report(tmp_path, scored(tmp_path, count, np.random.default_rng(0)))
    assert ('No clip has been scored.' in page) == (count == 0) and 'Every clip has its scores.' in page
    assert page.count('<h3>Most') == 2 * (count > 0) and page.count('<h3>Least') == 2 * (count > 1)


def test_equal_scores_and_only_reasons(tmp_path):
    equal = [row(f'{i}.mp4', i, motion=0.5, visual=0.5, mq=0.5, vq=0.5, flow=1.0) for i in range(20)]
    page = report(tmp_path, equal)
    assert page.count('undefined') >= 2 and 'No two clips look and move alike.' in page and '100%' in page
    page = report(tmp_path, [row('a.mp4', 0, reason='an empty file')])
    assert 'No clip has been scored.' in page and 'an empty file' in page and '<svg' not in page


def report(folder, rows):
    write_quality_report(write(folder, rows), folder / 'quality.html')
    return (folder / 'quality.html').read_text(encoding='utf-8')


def test_copies_are_told_from_near_duplicates(tmp_path):
    rows = scored(tmp_path, 8, np.random.default_rng(0))
    for one, other in ((1, 0), (2, 0), (4, 3)):
        rows[one]['fingerprint'] = rows[other]['fingerprint']
    rows[1]['id'], rows[4]['id'] = rows[0]['id'], rows[3]['id']
    page = report(tmp_path, rows)
    assert '2 clips are copies of another one.' in page and 'keeping one of each would drop 3, of which 2 are copies.' in page
    assert '<h3>3 clips, 1 of them copies</h3>' in page and '<h3>2 clips, all copies of one</h3>' in page


def test_words_units_and_meanings_are_one_and_the_same(page):
    words = Reader(page).words
    assert {'motion only', 'visual only'} <= set(words)
    assert not re.search(r'<td class="short">(motion|visual)</td><td[^>]*>(moves|looks)', page)
    assert not re.search(r'Distribution of visual,', page) and 'Distribution of visual quality, 0 to 1' in page
    for text in ('Distribution of motion, diagonals / s', 'pixels: of the picture', 'frames / s: mean rate',
                 f'visual quality (the column visual) is {VISUAL_FORMULA}.'):
        assert text in page
    figure = plots.scatter(*np.zeros((2, 1)), np.zeros(1, int), 'motion', 'visual quality')
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ['poor', 'visual only', 'motion only', 'golden']


def test_the_formula_in_words_is_the_one_that_is_computed():
    raw = {'detail': 0.5, 'letterbox': 0.2, 'true_resolution': 0.6, 'noise': 1.0, 'blockiness': 2.0, 'banding': 0.1, 'halos': 0.3}
    formula = VISUAL_FORMULA.split(',')[0].replace(' (', ' * (').replace('/ * (', '/ (').replace('+ * (', '+ (')
    assert eval(formula.replace('0.05 true', '0.05 * true'), {}, raw) == pytest.approx(visual_score(raw))


def test_members_of_an_archive_are_told_apart(tmp_path):
    url = f'zip://sub/%s.mp4::{tmp_path}/more.zip'
    page = report(tmp_path, [row(url % name, i, motion=i, visual=i, mq=i, vq=i) for i, name in enumerate('ab')])
    assert {'sub/a.mp4', 'sub/b.mp4'} <= set(re.findall(r'sub/[ab]\.mp4', page)) and 'aria-label="a.mp4, m' in page
    page = report(tmp_path, [row(f'zip://a.mp4::{tmp_path}/more.zip', 0, motion=1.0, visual=1.0, mq=1.0, vq=1.0)])
    assert 'more.zip/a.mp4' in page


def test_reasons_are_of_a_kind_whatever_their_numbers():
    kinds = {kind_of_reason(reason) for reason in ('frames of 4x4 pixels: outside 8 a side', 'frames of 6x2 pixels: outside 8 a side')}
    assert kinds == {'frames of … pixels'}
    assert kind_of_reason('nothing to show at 3.5 s: it lasts 2.00 s') == 'nothing to show at … s'
    assert kind_of_reason('cannot be read (Permission denied)') == 'cannot be read'


def test_thumbnails_are_frames_in_order_and_grey_where_there_are_none(tmp_path):
    levels = np.arange(12, dtype=np.uint8) * 20
    write_clip(tmp_path / 'a.mp4', np.broadcast_to(levels[:, None, None, None], (12, 32, 64, 3)), 1)
    (tmp_path / 'b.mp4').write_bytes(b'not a video')
    paths = [str(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4')]
    shown, grey = thumbnails(paths, 6, 48)
    assert shown.shape == (6, 24, 48, 3) and grey.shape == (6, 48, 48, 3) and np.ptp(grey) == 0
    np.testing.assert_allclose(shown.mean(axis=(1, 2, 3)), levels[1::2], atol=3)
    for one, other in zip((shown, grey), thumbnails(paths, 6, 48, workers=2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert strip(shown).startswith(b'\xff\xd8') and pathlib.Path(paths[0]).exists()
