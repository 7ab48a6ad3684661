"""Videos of a page: WebM inside of it that decodes to the clips' frames, side by side, with a poster; what cannot be read is a sentence."""
import base64

import cv2
import numpy as np
import pytest
from page_reader import Reader

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.report.videos import GAP, GREY, add_video, side_by_side
from transfer_jax.runtime.page import Page

FRAMES, SIDE = 9, 128


def moving_square(colour, step):
    """A square of a colour that goes right by `step` pixels a frame, on blue; enlarged, as samples of a small model are."""
    frames = np.zeros((FRAMES, 32, 32, 3), np.uint8) + np.uint8([10, 20, 90])
    for number, frame in enumerate(frames):
        frame[12:20, 2 + step * number:10 + step * number] = colour
    return frames.repeat(SIDE // 32, 1).repeat(SIDE // 32, 2)


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """[(file, frames)] of two clips that move otherwise."""
    folder = tmp_path_factory.mktemp('clips')
    frames = [moving_square(np.uint8([220, 40, 30]), 1), moving_square(np.uint8([40, 210, 60]), 2)]
    for number, one in enumerate(frames):
        write_clip(folder / f'{number}.mp4', one, 8)
    return [(folder / f'{number}.mp4', one) for number, one in enumerate(frames)]


def shown(files, *options):
    """The attributes of the page's only video, and its frames as a decoder gives them."""
    page = Page('p')
    page.section('s')
    add_video(page, files, 'a square', *options)
    video, = Reader(page.render()).all('video')
    return video


def decoded(source, folder):
    kind, _, data = source.partition(';base64,')
    assert kind == 'data:video/webm'
    (folder / 'page.webm').write_bytes(base64.b64decode(data))
    return read_clip(folder / 'page.webm', rate=8).frames.astype(float)


def test_what_the_page_plays_are_the_clips(clips, tmp_path):
    for file, frames in clips:
        video = shown([file])
        found = decoded(video['src'], tmp_path)
        assert found.shape == frames.shape and np.square(found - frames).mean() < 65  # 30 dB after two codecs
        assert video['class'] == 'pixelated' and {'autoplay', 'loop', 'muted', 'playsinline'} <= video.keys()


def test_clips_side_by_side_are_one_video_whose_frames_belong_together(clips, tmp_path):
    video = shown([file for file, _ in clips], ('one', 'two'))
    found = decoded(video['src'], tmp_path)
    assert found.shape == (FRAMES, SIDE, 2 * SIDE + GAP, 3)
    for part, (_, frames) in zip((found[:, :, :SIDE], found[:, :, SIDE + GAP:]), clips, strict=True):
        assert np.square(part - frames).mean() < 65
    poster = cv2.imdecode(np.frombuffer(base64.b64decode(video['poster'].partition(',')[2]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.square(poster - found[FRAMES // 2]).mean() < 130


def test_clips_of_other_sizes_and_lengths_stand_on_grey_and_stay_at_their_last_frame():
    one, two = np.full((3, 8, 10, 3), 250, np.uint8), np.full((2, 5, 7, 3), 9, np.uint8)
    two[1] = 11
    row = side_by_side([one, two])
    assert row.shape == (3, 8, 10 + GAP + 7 + 1, 3)
    assert (row[:, :, :10] == 250).all() and (row[:, :, 10:10 + GAP] == GREY).all() and (row[:, 5:, 10:21] == GREY).all()
    assert (row[0, :5, 14:21] == 9).all() and (row[1:, :5, 14:21] == 11).all()
    wide = side_by_side([np.full((2, 100, 1000, 3), 7, np.uint8)] * 3)
    assert wide.shape[2] <= 640 and wide.shape[1] == 22 and set(wide.ravel()) == {7, GREY}


def test_a_file_that_is_no_video_costs_a_sentence(tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    for name in ('bad.mp4', 'missing.mp4'):
        page = Page('p')
        page.section('s')
        add_video(page, [tmp_path / name], 'a square')
        assert 'a square: it cannot be shown (' in page.render() and '<video' not in page.render()
