"""Pixels that are not square: the size that players show, with orientation, and ratios that are damage."""
import fractions

import av
import cv2
import numpy as np
import pytest
from mp4_boxes import with_matrix

from tqd_jax.clips.container import Limits
from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.aspect import shown_size
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip, read_views

RATIOS = [(360, 240, '32/27', (426, 240)), (720, 576, '16/15', (768, 576)), (720, 480, '8/9', (720, 540)), (352, 576, '24/11', (768, 576)),
          (96, 64, '1/1', (96, 64)), (96, 64, '0/1', (96, 64)), (96, 64, '300/1', (96, 64)), (96, 64, '1/300', (96, 64))]


def disc(path, width, height, ratio, codec='libx264'):
    """A file with a disc that is round where pixels are `ratio` as wide as high."""
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) * float(ratio)) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2
    picture = np.repeat((40 + 180 * inside)[..., None], 3, 2).astype(np.uint8)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.sample_aspect_ratio = ratio
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())


def extent(picture):
    """Width and height of what is light."""
    light = picture[..., 0] > 130
    return np.ptp(np.flatnonzero(light.any(0))), np.ptp(np.flatnonzero(light.any(1)))


@pytest.mark.parametrize(('width', 'height', 'ratio', 'size'), RATIOS)
def test_a_side_is_enlarged_as_players_do(width, height, ratio, size):
    assert shown_size(width, height, fractions.Fraction(ratio) or None) == size


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'ts', 'mov'])
@pytest.mark.parametrize('ratio', ['32/27', '8/9'])
def test_circles_are_round_in_every_container_and_view(tmp_path, suffix, ratio):
    path, ratio = tmp_path / f'clip.{suffix}', fractions.Fraction(ratio)
    disc(path, 180, 120, ratio)
    clip = read_clip(path, rate=10)
    views, stills = read_views(path, rate=10, seconds=1, side=60, stills=1, still_side=90)
    size = shown_size(180, 120, ratio)
    assert (clip.width, clip.height) == size == clip.frames.shape[2:0:-1] == (probe(path).width, probe(path).height)
    for frames, tolerance in ((clip.frames, 2), (stills, 2), (views.frames, 2)):
        wide, high = extent(frames[0])
        assert wide == pytest.approx(high, abs=tolerance)


def test_a_turned_picture_has_its_pixels_turned_too(tmp_path):
    path = tmp_path / 'clip.mp4'
    disc(path, 180, 120, fractions.Fraction(32, 27))
    with_matrix(path, 0, 1, -1, 0)
    clip = read_clip(path, rate=10)
    assert (clip.width, clip.height) == (120, 213) == clip.frames.shape[2:0:-1]
    wide, high = extent(clip.frames[0])
    assert wide == pytest.approx(high, abs=2)


def test_limits_hold_for_the_picture_that_is_shown(tmp_path):
    path = tmp_path / 'clip.mp4'
    disc(path, 180, 120, fractions.Fraction(2))
    with pytest.raises(BadClip, match='frames of 360x120 pixels'):
        probe(path, limits=Limits(max_aspect=2))


def test_shrinking_one_way_and_enlarging_the_other_averages(tmp_path):
    path = tmp_path / 'clip.mp4'
    disc(path, 64, 320, fractions.Fraction(6))
    clip = read_clip(path, rate=10, short_side=160)
    assert clip.frames.shape == (4, 160, 192, 3)
    square = cv2.resize(read_clip(path, rate=10).frames[0], (192, 160), interpolation=cv2.INTER_AREA)
    assert np.abs(clip.frames[0].astype(int) - square).mean() < 3
