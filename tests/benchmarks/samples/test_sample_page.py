"""The table and the sheet from stored numbers and clips."""
import re

import numpy as np
import pytest
from scipy import stats

from benchmarks.samples import page, sheet
from benchmarks.samples.rows import ROWS
from benchmarks.studies.pages.files import write_results
from transfer_jax.runtime.errors import UserError

SHARES = [0.25, 0.5, 0.375]


def results(name, **changes):
    row = {key: SHARES for key in (*page.COLUMNS, 'agree', 'chance')}
    return {'name': name, 'command': f'python -m benchmarks.samples --name={name}', 'machine': 'a machine', 'date': '2026-12-01',
            'weights': 'abc', 'step': 0, 'shape': [8, 32, 32], 'fps': 8, 'solver': 'heun', 'steps': 24, 'guidance': 2.0,
            'seeds': [0, 1, 2], 'samples': 64, 'seconds': [70.0, 80.0, 90.0],
            'accuracies': {'32 clean': (1.0, 0.995)}, 'rows': {key: row for key in ROWS}} | changes


def test_a_page_has_every_checkpoint_of_its_folder(tmp_path):
    for name in ('pixels', 'latents'):
        write_results(tmp_path / f'samples_{name}.json', results(name))
    text = page.write_page(tmp_path).read_text()
    assert re.findall(r'^## (.*)$', text, re.MULTILINE) == ['latents', 'pixels']
    assert text.count('**samples**') == 2 and '99.5% of clips' in text and 'drawn in 80 s a seed' in text
    assert all(f'samples_{name}.png' in text for name in ('pixels', 'latents'))


def test_intervals_are_students():
    low, high = stats.t.interval(0.95, 2, np.mean(SHARES), stats.sem(SHARES))
    assert page.interval(SHARES) == f'0.375 [{low:.3f}, {high:.3f}]'
    assert page.interval([0.5]) == '0.500'


def test_clips_in_random_order_have_paths_alone():
    cells = dict(zip(page.COLUMNS, page.cells({key: SHARES for key in page.COLUMNS}, 'shuffled'), strict=True))
    assert {key for key, cell in cells.items() if cell} == set(page.PATHS)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / 'samples_pixels.json').write_text('{')
    with pytest.raises(UserError, match=r'samples_pixels\.json'):
        page.write_page(tmp_path)


def test_a_strip_shows_frames_in_their_order():
    clip = np.broadcast_to(np.arange(17, dtype=np.uint8)[:, None, None, None], (17, 4, 4, 3))
    strip = sheet.strip(clip)
    assert strip.shape == (4, 6 * 5 - 1, 3)
    np.testing.assert_array_equal(strip[0, ::5, 0], [0, 3, 6, 10, 13, 16])
    assert (strip[:, 4::5] == 255).all()
    assert sheet.strip(clip[:3]).shape == (4, 14, 3)


def test_a_sheet_is_a_picture_with_all_captions(tmp_path):
    captions = [f'a red disc {number}' for number in range(20)]
    clips = np.zeros((20, 8, 16, 16, 3), np.uint8)
    figure = sheet.sheet(clips[:4], captions[:4])
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == captions[:4]
    sheet.write_sheet(tmp_path / 'images' / 'sheet.png', clips, captions)
    assert (tmp_path / 'images' / 'sheet.png').read_bytes().startswith(b'\x89PNG')
