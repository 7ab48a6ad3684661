"""A page is one file that loads nothing, escapes what it is given, and draws figures in its own colours."""
import base64
import html.parser
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from transfer_jax.runtime.report import Page


class Reader(html.parser.HTMLParser):
    """Collects (tag, attributes) and text, and holds that what is opened is closed in order."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


def plot(count=5, rasterized=False):
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.scatter(np.arange(count), np.arange(count), color='#e69f00', rasterized=rasterized)
    axes.set_title('A < B & C')
    axes.grid(True)
    return figure


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(b'not really a video')
    (tmp_path / 'sheet.png').write_bytes(b'not really a picture')
    return tmp_path


def full_page(files):
    page = Page('Run <1>', 'a & b')
    page.section('Data', 'One <script>alert(1)</script> sentence.')
    page.facts({'clips': 240, 'Pearson r': '0.02'})
    page.figure(plot(), caption='left', alt='a "rising" line')
    page.figure(plot(rasterized=True), caption='right', alt='points')
    page.section('Samples')
    page.video(files / 'clip.mp4', 'one')
    page.video(files / 'clip.mp4', 'two')
    page.image(files / 'sheet.png', 'a sheet', alt='frames')
    page.table([['a<b', 1234, 0.123456, True]], ['name', 'count', 'value', 'flag'])
    page.code('{"a": "<1>"}', 'config')
    return page


def test_everything_is_there_and_well_formed(files):
    reader = Reader(full_page(files).render())
    assert {'Run <1>', 'a & b', 'One <script>alert(1)</script> sentence.', 'A < B & C', '240', '0.1235', 'a<b', '{"a": "<1>"}'} <= set(
        reader.words)
    assert not reader.all('script')
    assert [figure['aria-label'] for figure in reader.all('svg')] == ['a "rising" line', 'points']
    assert [cell.get('class') for cell in reader.all('td')] == ['short', 'number', 'number', 'short']
    source = reader.all('video')[0]['src']
    assert len(reader.all('video')) == 2 and base64.b64decode(source.removeprefix('data:video/mp4;base64,')) == b'not really a video'
    targets = {section['id'] for section in reader.all('section')}
    assert {link['href'] for link in reader.all('a')} == {f'#{target}' for target in targets}


def test_nothing_is_loaded_from_elsewhere(files):
    page = full_page(files).render()
    for attributes in (attributes for _, attributes in Reader(page).tags):
        for name in ('src', 'href', 'xlink:href'):
            assert attributes.get(name, '#').startswith(('#', 'data:'))
    assert not re.search(r'url\((?!#)|@import|https?://(?!www\.w3\.org)', page)


def test_figures_follow_the_theme_and_do_not_share_ids(files):
    page = full_page(files).render()
    svgs = re.findall(r'<svg.*?</svg>', page, re.DOTALL)
    assert all('var(--ink)' in svg and 'var(--rule)' in svg and '#000000' not in svg for svg in svgs)
    assert '#e69f00' in svgs[0] and '<image' in svgs[1]
    clips = [set(re.findall(r'<clipPath id="([^"]*)"', svg)) for svg in svgs]
    assert clips[0] and clips[1] and not clips[0] & clips[1]
    assert full_page(files).render() == page


def test_write_is_atomic_and_without_leftovers(files):
    page = full_page(files)
    page.write(files / 'report.html')
    page.write(files / 'report.html')
    assert (files / 'report.html').read_text(encoding='utf-8') == page.render()
    assert sorted(path.name for path in files.iterdir()) == ['clip.mp4', 'report.html', 'sheet.png']
