"""A page is one file that loads nothing, escapes all text, and draws figures in its own colours."""
import base64
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from page_reader import Reader

from transfer_jax.runtime.page import Mark, Page, Picture


def plot(count=5, rasterized=False):
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.scatter(np.arange(count), np.arange(count), color='#e69f00', rasterized=rasterized)
    axes.set_title('A < B & C')
    axes.grid(True)
    return figure


MARKS = [Mark(x=x, y=x, name=f'clips/a-name-that-is-long-{x}<b>.mp4', detail='motion 1 & more', picture=b'jpeg %d' % (x % 2))
         for x in range(5)]  # at the corners too


def full_page():
    page = Page('Run <1>', 'a & b')
    page.section('Data', 'One <script>alert(1)</script> sentence.')
    page.facts({'clips': 240, 'Pearson r': '0.02'})
    page.figure(plot(), caption='left', alt='a "rising" line')
    page.figure(plot(rasterized=True), caption='right', alt='points')
    page.figure(plot(), caption='pointed at', alt='marked points', marks=MARKS)
    page.multiples([(plot(3), 'small one', 'a few'), (plot(4), 'small two', 'a few more')])
    page.section('Samples')
    page.pictures('A <title>', [Picture(jpeg=b'one', name='a<b>.mp4', value='0.5'), Picture(jpeg=b'two', name='c.mp4')])
    page.pictures('Strips', [Picture(jpeg=b'three', name='d.mp4')], strips=True)
    page.video(b'not really a video', 'one', poster=b'four')
    page.video(b'no video', 'two', poster=b'five', pixelated=True)
    page.video(b'nor this', 'pair', poster=b'six', labels=('left <b>', 'right'))
    page.table([['a<b', 1234, 0.123456, True]], ['name', 'count', 'value', 'flag'])
    page.code('{"a": "<1>"}', 'config')
    return page


def test_everything_is_there_and_well_formed():
    reader = Reader(full_page().render())
    assert {'Run <1>', 'a & b', 'One <script>alert(1)</script> sentence.', 'A < B & C', '240', '0.1235', 'a<b', '{"a": "<1>"}'} <= set(
        reader.words)
    assert not reader.all('script')
    assert [figure.get('aria-label') for figure in reader.all('svg')] == [
        None, 'a "rising" line', 'points', 'marked points', 'a few', 'a few more']
    assert [cell.get('class') for cell in reader.all('td')] == ['short', 'number', 'number', 'short']
    videos = reader.all('video')
    assert [base64.b64decode(video['src'].removeprefix('data:video/webm;base64,')) for video in videos] == [
        b'not really a video', b'no video', b'nor this']
    assert [base64.b64decode(video['poster'].removeprefix('data:image/jpeg;base64,')) for video in videos] == [b'four', b'five', b'six']
    assert [video.get('class') for video in videos] == [None, 'pixelated', None] and videos[2]['aria-label'] == 'left <b>, right: pair'
    assert all({'autoplay', 'muted', 'loop', 'playsinline'} <= video.keys() for video in videos)
    targets = {section['id'] for section in reader.all('section')}
    targets |= {caption['id'] for caption in reader.all('figcaption') if 'id' in caption}
    assert {link['href'] for link in reader.all('a')} == {f'#{target}' for target in targets}
    assert {'A <title>', 'a<b>.mp4', 'left <b>', '0.5', 'Strips', 'small one', 'Skip the 5 points'} <= set(reader.words)


def test_nothing_is_loaded_from_elsewhere():
    page = full_page().render()
    for attributes in (attributes for _, attributes in Reader(page).tags):
        for name in ('src', 'href', 'xlink:href'):
            assert attributes.get(name, '#').startswith(('#', 'data:'))
    assert not re.search(r'url\((?!#)|@import|https?://(?!www\.w3\.org)', page)


def test_figures_follow_the_theme_and_do_not_share_ids():
    page = full_page().render()
    svgs = re.findall(r'<svg.*?</svg>', page, re.DOTALL)[1:]
    assert all('var(--ink)' in svg and 'var(--rule)' in svg and '#000000' not in svg for svg in svgs)
    assert '#e69f00' in svgs[0] and '<image' in svgs[1]
    clips = [re.findall(r'<clipPath id="([^"]*)"', svg) for svg in svgs]
    assert all(clips) and len({each for ids in clips for each in ids}) == sum(map(len, clips))
    assert full_page().render() == page


def test_marks_stand_on_their_points_and_their_boxes_stay_inside():
    page = full_page().render()
    svg = next(svg for svg in re.findall(r'<svg.*?</svg>', page, re.DOTALL) if 'marked points' in svg)
    reader = Reader(svg)
    width, height = map(float, reader.all('svg')[0]['viewbox'].split()[2:])
    dots = [use for use in reader.all('use') if 'xlink:href' in use and 'fill' in use.get('style', '')]
    rings, boxes = reader.all('circle'), [rect for rect in reader.all('rect') if 'rx' in rect]
    assert len(rings) == len(boxes) == 5 and svg.rindex('class="mark"') > svg.rindex('clip-path')
    for dot, ring, box in zip(dots, rings, boxes, strict=True):
        assert float(ring['cx']) == pytest.approx(float(dot['x']), abs=0.1) and float(ring['cy']) == pytest.approx(float(dot['y']), abs=0.1)
        edge, top, across, down = (float(box[name]) for name in ('x', 'y', 'width', 'height'))
        assert 0 <= edge and edge + across <= width and 0 <= top and top + down <= height
        assert not edge <= float(ring['cx']) <= edge + across  # never over its own point


def test_pictures_that_figures_share_are_held_once_and_marks_need_no_script():
    page = full_page().render()
    reader = Reader(page)
    images = {image['id']: base64.b64decode(image['href'].removeprefix('data:image/jpeg;base64,')) for image in reader.all('image')
            if 'href' in image}
    assert [images[use['href'][1:]] for use in reader.all('use') if 'href' in use] == [mark.picture for mark in MARKS] and len(images) == 2
    marks = [each for each in reader.all('g') if each.get('class') == 'mark']
    assert [mark['aria-label'] for mark in marks] == [f'{mark.name}, {mark.detail}' for mark in MARKS]
    assert all(mark['tabindex'] == '0' for mark in marks) and '.mark:focus > g' in page and '.mark:hover > g' in page
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith('on')]


def test_write_is_atomic_and_without_leftovers(tmp_path):
    page = full_page()
    page.write(tmp_path / 'report.html')
    page.write(tmp_path / 'report.html')
    assert (tmp_path / 'report.html').read_text(encoding='utf-8') == page.render()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['report.html']
