"""Upright pictures: all eight orientations, matrices that are none, other angles, and sizes that agree everywhere."""
import itertools
import math

import av
import numpy as np
import pytest
from mp4_boxes import with_matrix

from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.orientation import Orientation, from_matrix
from tqd_jax.clips.read import read_clip, read_views
from tqd_jax.clips.thumbnails import thumbnails
from tqd_jax.clips.write import write_clip

UPRIGHT = list(itertools.chain(itertools.product((1, -1), (0,), (0,), (1, -1)), itertools.product((0,), (1, -1), (1, -1), (0,))))


@pytest.fixture(scope='module')
def corners():
    """A picture whose corners differ: light top left, grey top right, dark bottom left, black bottom right."""
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[:24, :40], picture[:24, 40:], picture[24:, :40] = 250, 170, 80
    return np.broadcast_to(picture, (4, *picture.shape))


def shown(picture, a, b, c, d):
    """The picture by the matrix's own definition, a pixel at a time."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    out = np.empty((to_y.max() + 1, to_x.max() + 1, 3), picture.dtype)
    out[to_y, to_x] = picture
    return out


@pytest.mark.parametrize('matrix', UPRIGHT)
def test_all_eight_orientations_follow_the_matrix(tmp_path, corners, matrix):
    path = tmp_path / 'clip.mp4'
    write_clip(path, corners, 10)
    stored = read_clip(path, rate=10).frames
    with_matrix(path, *matrix)
    clip = read_clip(path, rate=10)
    expected = shown(stored[0], *matrix)
    np.testing.assert_array_equal(clip.frames[0], expected)
    views, stills = read_views(path, rate=10, seconds=1, side=24, stills=2, still_side=48)
    thumbnail = thumbnails([path], 1, 40)[0]
    for frames in (clip.frames, views.frames, stills, thumbnail):
        assert (frames.shape[1] < frames.shape[2]) == (expected.shape[0] < expected.shape[1])
    assert (clip.width, clip.height) == clip.frames.shape[2:0:-1] == (probe(path).width, probe(path).height) == (views.width, views.height)


@pytest.mark.parametrize('matrix', [(0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 0), (1, 0, 2, 0)])
def test_a_singular_matrix_is_none(tmp_path, corners, matrix):
    path = tmp_path / 'clip.mp4'
    write_clip(path, corners, 10)
    stored = read_clip(path, rate=10).frames
    with_matrix(path, *matrix)
    np.testing.assert_array_equal(read_clip(path, rate=10).frames, stored)
    assert (probe(path).width, probe(path).height) == (80, 48)


@pytest.mark.parametrize('scale', [0.5, 3.0])
def test_scale_changes_nothing(scale):
    for matrix in UPRIGHT:
        assert from_matrix(*(scale * value for value in matrix)) == from_matrix(*matrix)


@pytest.mark.parametrize('degrees', [30, -45, 135])
def test_other_angles_turn_the_picture_within_its_frame_as_ffmpeg_does(tmp_path, degrees):
    path, rng = tmp_path / 'clip.mp4', np.random.default_rng(0)
    write_clip(path, np.kron(rng.integers(0, 256, (2, 6, 8, 3)), np.ones((1, 16, 16, 1))).astype(np.uint8), 10)
    stored = read_clip(path, rate=10).frames[0]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    with_matrix(path, cos, sin, -sin, cos)
    turned = read_clip(path, rate=10).frames[0]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=128, height=96, format=av.VideoFormat('rgb24'), time_base='1/10')
    graph.link_nodes(source, graph.add('rotate', f'{math.radians(degrees)}'), graph.add('buffersink')).configure()
    graph.push(av.VideoFrame.from_ndarray(stored, format='rgb24'))
    expected = graph.pull().to_ndarray(format='rgb24')
    assert turned.shape == expected.shape == stored.shape
    assert np.abs(turned.astype(int) - expected).mean() < 3 < np.abs(stored.astype(int) - expected).mean()


def test_a_mirroring_comes_before_the_turn_and_nearly_quarter_turns_are_some():
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    mirrored = from_matrix(-cos, -sin, -sin, cos)
    assert mirrored.mirrored and mirrored.angle == pytest.approx(30)
    cos, sin = math.cos(math.radians(89.5)), math.sin(math.radians(89.5))
    assert from_matrix(cos, sin, -sin, cos) == Orientation(transposed=True, mirrored=True)
