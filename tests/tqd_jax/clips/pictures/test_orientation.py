"""Upright pictures: all eight orientations, matrices that are none, other angles, and sizes that agree everywhere."""
import fractions
import itertools
import math
import struct

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from mp4_boxes import with_matrix

from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.orientation import Orientation, from_matrix
from tqd_jax.clips.read import read_clip, read_views
from tqd_jax.clips.thumbnails import thumbnails
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.row import Settings, score_clip

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


def copied(source, target, *, turn=None, filters=None):
    """A copy of the packets, with a turn in degrees that the container names, or through a filter of packets."""
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        if turn is not None:
            stream.set_display_rotation(turn)
        filtered = BitStreamFilterContext(filters, old.streams.video[0]).filter if filters else lambda packet: [packet]
        for packet in old.demux(video=0):
            for one in filtered(packet) if packet.size else ():
                one.stream = stream
                new.mux(one)


@pytest.mark.parametrize('suffix', ['mkv', 'mp4', 'mov'])
def test_every_container_names_a_turn(tmp_path, corners, suffix):
    write_clip(tmp_path / 'clip.mp4', corners, 10)
    copied(tmp_path / 'clip.mp4', tmp_path / f'turned.{suffix}', turn=90)  # against the clock
    stored = read_clip(tmp_path / 'clip.mp4', rate=10).frames
    np.testing.assert_array_equal(read_clip(tmp_path / f'turned.{suffix}', rate=10).frames, np.rot90(stored, 1, (1, 2)))


@pytest.mark.parametrize(('turn', 'flip'), [(90, ''), (0, ':flip=horizontal'), (90, ':flip=horizontal')])
def test_what_the_video_itself_says_stands_above_the_container(tmp_path, corners, turn, flip):
    write_clip(tmp_path / 'clip.mp4', corners, 10)
    copied(tmp_path / 'clip.mp4', tmp_path / 'sei.mp4', turn=180, filters=f'h264_metadata=display_orientation=insert:rotate={turn}{flip}')
    expected = read_clip(tmp_path / 'clip.mp4', rate=10).frames
    expected = np.rot90(expected[:, :, ::-1] if flip else expected, turn // 90, (1, 2))
    np.testing.assert_array_equal(read_clip(tmp_path / 'sei.mp4', rate=10).frames, expected)


@pytest.mark.parametrize(('exif', 'turns'), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_pictures_of_a_camera_that_names_their_orientation_in_exif(tmp_path, corners, exif, turns):
    encoded = cv2.imencode('.jpg', corners[0])[1].tobytes()
    tag = b'Exif\0\0MM\0*\0\0\0\x08\0\x01' + struct.pack('>HHIHHI', 0x112, 3, 1, exif, 0, 0)
    encoded = encoded[:2] + b'\xff\xe1' + struct.pack('>H', len(tag) + 2) + tag + encoded[2:]
    with av.open(str(tmp_path / 'clip.mov'), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuvj420p'
        for number in range(3):
            packet = av.Packet(encoded)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, fractions.Fraction(1, 10)
            container.mux(packet)
    clip = read_clip(tmp_path / 'clip.mov', rate=10)
    np.testing.assert_allclose(clip.frames[0].astype(int), np.rot90(corners[0], turns), atol=12)
    assert score_clip(tmp_path / 'clip.mov', Settings(codec=True))['motion_codec'] is None
