"""The report of a made-up run says what was put in, and every missing file costs a sentence, never the page."""
import itertools
import json
import re
import shutil

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tqd_jax.clips.write import write_clip
from tqd_jax.report import plots
from tqd_jax.report.page import correlation, largest_gap, write_report
from tqd_jax.report.results import Evaluation, read_results
from tqd_jax.timesteps.quadrants import QUADRANTS, quadrant

CLIPS, BINS, GRID = 200, 40, 400
FILES = ('scores.parquet', 'skipped.jsonl', 'drawn.npz', 'evaluation.jsonl', 'metrics.jsonl', 'samples.json', 'samples', 'summary.json',
         'config.json')


def write_lines(path, lines):
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def write_scores(folder, rng):
    """Raw scores without correlation, and their ranks."""
    true_motion, true_visual = rng.uniform(size=(2, CLIPS))
    motion, visual = true_motion**2 / 2 + rng.normal(0, 0.01, CLIPS), true_visual + rng.normal(0, 0.05, CLIPS)
    mq, vq = ((np.argsort(np.argsort(score)) + 0.5) / CLIPS for score in (motion, visual))
    columns = {'clip': [f'clips/{i:04d}.mp4' for i in range(CLIPS)], 'motion': motion, 'visual': visual, 'mq': mq, 'vq': vq,
               'source': ['web'] * CLIPS, 'true_motion': true_motion, 'true_visual': true_visual, 'reason': pa.nulls(CLIPS, pa.string())}
    pa.parquet.write_table(pa.table(columns), folder / 'scores.parquet')
    return mq, vq


def write_drawn(folder, rng, mq, vq, draws=100):
    """Timesteps of the paper's Beta law of each clip, by inversion at stratified levels, and the laws' mean density, by scipy."""
    kind, grid = quadrant(mq, vq), (np.arange(GRID) + 0.5) / GRID
    mean, total = 0.5 + 0.5 * (mq - vq), 2 + 6 * np.abs(mq - vq)
    laws = stats.beta((mean * total)[:, None], ((1 - mean) * total)[:, None])
    t = laws.ppf((np.arange(draws) + rng.uniform(size=(CLIPS, draws))) / draws)
    counts = np.stack([np.histogram(t[kind == q], bins=BINS, range=(0, 1))[0] for q in range(4)])
    density = laws.pdf(grid)
    np.savez(folder / 'drawn.npz', counts=counts, grid=grid, law_density=np.stack([density[kind == q].mean(axis=0) for q in range(4)]))


def write_training(folder, rng):
    base = 0.05 + 0.4 * np.linspace(1, 0, 10)**2 + np.array([[0.05], [0.02], [0.04], [0.0]])
    evaluations = [{'step': step, 'loss': (base * np.exp(-step / 2000 * np.array([[0.5], [1], [1], [2]]))).tolist(),
                    'count': [[8.0] * 10] * 4} for step in (0, 200, 400)]
    evaluations[-1]['loss'][0][3], evaluations[-1]['count'][0][3] = None, 0.0
    write_lines(folder / 'evaluation.jsonl', evaluations)
    write_lines(folder / 'metrics.jsonl', [
        {'step': step, 'loss': 0.2 + 0.3 * np.exp(-step / 100) + rng.normal(0, 0.01), 'learning_rate': 3e-4 * min(1, step / 50),
         'examples_per_second': 50 + rng.normal(), 'wait_share': abs(rng.normal(0.02, 0.01)),
         'step_seconds': 0.16, 'tflops_per_device': 412.0, 'mfu': 0.4166, 'time/at': 1e9 + step, 'time/step': 0.9 * step,
         'time/repeated': 0.1 * step} for step in range(20, 401, 20)])


def write_samples(folder, rng):
    (folder / 'samples').mkdir()
    rows, columns = np.mgrid[:64, :64]
    for number in range(4):
        frames = [np.hypot(rows - 32, columns - 8 - 6 * frame) < 6 + number for frame in range(8)]
        write_clip(folder / 'samples' / f'{number:02d}.mp4', np.stack(frames)[..., None] * np.uint8([250, 200, 40 * number]), 8)
    for step in (0, 200):
        (folder / 'samples' / f'step-{step:06d}').mkdir()
        write_clip(folder / 'samples' / f'step-{step:06d}' / '00.mp4', np.zeros((8, 64, 64, 3), np.uint8), 8)
    sheet = Figure(figsize=(8, 2))
    sheet.subplots().imshow(rng.uniform(size=(8, 32)))
    sheet.savefig(folder / 'samples' / 'sheet.png')
    scores = lambda count: {'motion': rng.uniform(size=count).tolist(), 'visual': rng.uniform(size=count).tolist()}
    (folder / 'samples.json').write_text(json.dumps({'captions': ['a <disc>', 'a square'], 'samples': scores(4), 'data': scores(8)}))


@pytest.fixture(scope='module')
def made_up(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('runs') / 'made-up', np.random.default_rng(0)
    folder.mkdir()
    write_drawn(folder, rng, *write_scores(folder, rng))
    write_training(folder, rng)
    write_samples(folder, rng)
    write_lines(folder / 'skipped.jsonl', [{'clip': f'bad/{i:03d}.avi', 'reason': 'no video stream'} for i in range(73)])
    (folder / 'summary.json').write_text(json.dumps({'law': 'beta', 'steps': 400, 'jax': '0.10.2', 'parameters': 1.3e9,
                                                     'trained': 1.18e7, 'devices': '1 x cpu',
                                                     'validates_on_training_clips': False}))
    wan = {'path': '/weights/Wan2.1-T2V-1.3B', 'expert': 'high'}
    (folder / 'config.json').write_text(json.dumps({'seed': 0, 'law': {'kind': 'beta'}, 'wan': wan, 'lora': {'rank': 32},
                                                    'train': {'trained': 'lora'}}))
    return folder


@pytest.fixture(scope='module')
def page(made_up):
    return write_report(made_up).read_text(encoding='utf-8')


def test_the_page_says_what_was_put_in(made_up, page):
    assert 'TQD report: made-up' in page and 'law: beta · 400 steps · 1 x cpu' in page
    mq, vq = (np.array(pyarrow.parquet.read_table(made_up / 'scores.parquet')[name]) for name in ('mq', 'vq'))
    shares = {'golden': np.mean((mq >= 0.5) & (vq >= 0.5)), 'poor': np.mean((mq < 0.5) & (vq < 0.5))}
    for name, share in shares.items():
        row = re.search(rf'<tr><td class="short">{name}</td>.*?</tr>', page)[0]
        assert f'>{round(share * CLIPS)}<' in row and f'{share:.1%}' in row
    assert '73 files could not be used; the first 50:' in page and page.count('no video stream') == 50
    assert page.count('<video') == 4 and page.count('<span>before training</span><span>after</span>') == 1
    assert 'before training, after: a &lt;disc&gt;' in page
    assert '1.3 B, of which 11.8 M are trained' in page and 'Wan2.1-T2V-1.3B, expert high' in page and 'LoRA of rank 32' in page
    assert '41.7%' in page and re.search(r'steps that a kill undid</td>.*?>40\.0<.*?>10\.0%<', page)
    assert page.count('<svg') == 2 + 4 + 2 + 4 + 1
    assert all(page.count(plots.COLOURS[name]) >= 5 for name in QUADRANTS)


def test_every_gap_between_draws_and_law_is_small_because_they_agree(page):
    gaps = [float(gap) for gap in re.findall(r'differ by at most (\d+\.\d+)', page)]
    assert len(gaps) == 4 and max(gaps) < 0.01


@pytest.mark.parametrize('missing', [FILES[::2], FILES[1::2]])
def test_a_missing_file_costs_a_sentence(made_up, tmp_path, missing):
    shutil.copytree(made_up, tmp_path / 'run')
    for path in map((tmp_path / 'run').joinpath, missing):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert '<h2>Config</h2>' in write_report(tmp_path / 'run').read_text(encoding='utf-8')


def test_an_empty_folder_is_a_page_of_sentences(tmp_path):
    page = write_report(tmp_path).read_text(encoding='utf-8')
    for sentence in ('No clips have been scored: there is no scores.parquet.', 'No timesteps have been drawn yet', 'No evaluation yet',
                     'No step has been logged', 'No samples have been drawn yet.', 'There is no config.json.'):
        assert sentence in page
    assert '<svg' not in page


def test_one_clip_and_one_evaluation_are_enough(tmp_path):
    columns = {'clip': ['a.mp4'], 'motion': [0.1], 'visual': [0.2], 'mq': [0.5], 'vq': [0.5], 'source': ['x']}
    columns['reason'] = pa.nulls(len(columns['clip']), pa.string())
    pa.parquet.write_table(pa.table(columns), tmp_path / 'scores.parquet')
    loss = [[None] * 10] * 3 + [[0.5] * 10]
    write_lines(tmp_path / 'evaluation.jsonl', [{'step': 0, 'loss': loss, 'count': [[0] * 10] * 3 + [[1] * 10]}])
    counts = np.zeros((4, BINS), int)
    counts[3, 20] = 1
    density = np.full((4, GRID), np.nan)
    density[3] = 1
    np.savez(tmp_path / 'drawn.npz', counts=counts, grid=(np.arange(GRID) + 0.5) / GRID, law_density=density)
    page = write_report(tmp_path).read_text(encoding='utf-8')
    assert 'Pearson r = undefined' in page and 'Step 0.' in page and 'Never drawn: motion only, visual only, poor clips.' in page
    assert 'No clip was skipped.' in page and 'change of the loss' not in page


def test_a_quadrant_whose_clips_are_gone_has_its_draws_and_no_law(made_up, tmp_path):
    folder = shutil.copytree(made_up, tmp_path / 'gone')
    with np.load(folder / 'drawn.npz') as drawn:
        arrays = dict(drawn)
    arrays['law_density'][2] = np.nan
    np.savez(folder / 'drawn.npz', **arrays)
    page = write_report(folder).read_text(encoding='utf-8')
    assert page.count('there is no clip of this quadrant any more') == 1 and page.count('the two cumulated shares differ') == 3


def test_numbers_against_a_closed_form():
    linear = (np.arange(GRID) + 0.5) / GRID * 2  # density 2 t, CDF t^2, against uniform draws: the largest gap is 1/4, at t = 1/2
    assert largest_gap(np.ones(BINS), linear) == pytest.approx(0.25, abs=1e-6)
    assert largest_gap(np.ones(BINS), np.ones(GRID)) == pytest.approx(0, abs=1e-12)
    rising = np.arange(10.0)
    assert correlation(lambda x, y: pytest.fail('not asked for'), rising, np.ones(10)) == 'undefined'
    loss, count = np.array([[1.0, np.nan], [4.0, 2.0]]), np.array([[2.0, 0.0], [1.0, 1.0]])
    assert Evaluation(step=0, loss=loss, count=count).mean == (2 + 4 + 2) / 4


def test_results_are_what_was_written(made_up):
    results = read_results(made_up)
    steps, loss = results.series('loss')
    assert steps.tolist() == list(range(20, 401, 20)) and loss.shape == (20,)
    assert results.series('absent')[0].size == 0
    assert np.bincount(results.scores['quadrant'], minlength=4).sum() == CLIPS
    assert [one.step for one in results.evaluations] == [0, 200, 400] and np.isnan(results.evaluations[-1].loss[0, 3])


def luminance(colour):
    channels = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055)**2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_quadrant_colours_are_told_apart_without_red_and_green():
    """Viénot, Brettel and Mollon's matrix (1999) for deuteranopia: still at least 0.15 apart in linear RGB, and seen on both papers."""
    deuteranopia = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    seen = {name: deuteranopia @ np.array(matplotlib.colors.to_rgb(colour))**2.2 for name, colour in plots.COLOURS.items()}
    for one, two in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[two]) > 0.15, (one, two)
    for colour in plots.COLOURS.values():
        for paper in ('#ffffff', '#14161a'):
            bright, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) > 2


def test_a_loss_on_training_clips_is_not_called_validation_loss(made_up, page, tmp_path):
    assert 'validation loss, first and last' in page and 'loss on training clips' not in page
    shutil.copytree(made_up, tmp_path / 'run')
    (tmp_path / 'run/summary.json').write_text(json.dumps({'validates_on_training_clips': True}))
    few = write_report(tmp_path / 'run').read_text(encoding='utf-8')
    assert 'loss on training clips (too few to hold any out), first and last' in few and 'validation loss, first and last' not in few
