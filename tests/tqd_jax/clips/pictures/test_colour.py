"""Colours: every matrix and range, high dynamic range and wide gamuts as BT.709 shows them, Dolby Vision."""
import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from mp4_boxes import renamed

from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.tone import GAMMA, WHITE, Tone, _light, _to_709
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip, read_views
from tqd_jax.clips.write import write_clip

PATCHES = np.array([[128, 128, 128], [235, 235, 235], [200, 40, 40], [40, 180, 60], [50, 60, 210], [200, 190, 60], [30, 30, 30]], np.uint8)
SWS = {1: Colorspace.ITU709, 6: Colorspace.ITU601, 9: Colorspace.BT2020}
QUIET = {'x265-params': 'log-level=none', 'crf': '4'}


def patches(size=(96, 224)):
    """Seven patches side by side."""
    return np.repeat(np.repeat(PATCHES[None], size[0], 0), size[1] // 7, 1)


def encode(path, picture, *, tag=2, matrix=None, full=False, trc=2, primaries=2, pix_fmt='yuv420p', codec='libx264', options=None):
    """A file of one still picture, uint8 or uint16 RGB, with these marks; matrix: the one that its numbers are made by."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10, options=options or {'crf': '4'})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries, context.color_range = tag, trc, primaries, 2 if full else 1
        frame = av.VideoFrame.from_ndarray(picture, format='rgb48le' if picture.dtype == np.uint16 else 'rgb24')
        for _ in range(4):
            made = frame.reformat(format=pix_fmt, dst_colorspace=matrix or SWS.get(tag, Colorspace.ITU601), src_color_range=2,
                                  dst_color_range=2 if full else 1)
            made.colorspace, made.color_range, made.color_trc, made.color_primaries = tag, 2 if full else 1, trc, primaries
            container.mux(stream.encode(made))
        container.mux(stream.encode())


def middles(frames):
    """Mean colours of the middles of the seven patches of the first picture."""
    width = frames.shape[2] // 7
    return np.stack([frames[0, 20:-20, i * width + width // 3:(i + 1) * width - width // 3].mean((0, 1)) for i in range(7)])


@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv444p10le'])
@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('tag', [1, 6, 9])
def test_the_matrix_and_range_of_the_file_hold(tmp_path, tag, full, pix_fmt):
    path = tmp_path / 'clip.mp4'
    encode(path, patches(), tag=tag, full=full, pix_fmt=pix_fmt)
    np.testing.assert_allclose(middles(read_clip(path, rate=10).frames), PATCHES, atol=4)


@pytest.mark.parametrize(('size', 'matrix'), [((96, 224), Colorspace.ITU601), ((576, 1022), Colorspace.ITU601),
                                              ((720, 1288), Colorspace.ITU709), ((582, 714), Colorspace.ITU709)])
def test_without_a_matrix_the_size_decides_as_in_players(tmp_path, size, matrix):
    path = tmp_path / 'clip.mp4'
    encode(path, patches(size), tag=2, matrix=matrix, options={'crf': '4', 'preset': 'ultrafast'})
    np.testing.assert_allclose(middles(read_clip(path, rate=10, short_side=96).frames), PATCHES, atol=5)


@pytest.mark.parametrize('size', [(96, 224), (720, 1288)])
def test_what_is_written_is_read_in_its_colours(tmp_path, size):
    write_clip(tmp_path / 'clip.mp4', np.repeat(patches(size)[None], 3, 0), 10)
    np.testing.assert_allclose(middles(read_clip(tmp_path / 'clip.mp4', rate=10).frames), PATCHES, atol=4)


def coded(nits, curve):
    """uint16 of light in cd/m², as a camera of that curve stores it: the standards' own formulas, the other way round."""
    if curve == 'pq':
        power = (np.asarray(nits) / 10_000) ** 0.1593017578125
        value = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        luminance = (np.asarray(nits) @ [0.2627, 0.6780, 0.0593])[..., None] / 1000
        scene = np.asarray(nits) / 1000 * np.maximum(luminance, 1e-9) ** ((1 - 1.2) / 1.2)
        value = np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073)
    return np.rint(65535 * value).astype(np.uint16)


@pytest.mark.parametrize(('trc', 'curve'), [(16, 'pq'), (18, 'hlg')])
def test_a_high_dynamic_range_looks_like_its_sdr(tmp_path, trc, curve):
    path = tmp_path / 'clip.mp4'
    nits = WHITE * (patches() / 255) ** GAMMA @ np.linalg.inv(_to_709(9)).T
    encode(path, coded(nits, curve), tag=9, trc=trc, primaries=9, pix_fmt='yuv420p10le', codec='libx265', options=QUIET)
    clip = read_clip(path, rate=10)
    assert clip.dynamic_range == curve == probe(path).dynamic_range
    ordinary = np.arange(7) != 1  # white comes into the part that makes room for what is brighter
    np.testing.assert_allclose(middles(clip.frames)[ordinary], PATCHES[ordinary], atol=7)
    assert 215 <= middles(clip.frames)[1].mean() <= 235
    views, stills = read_views(path, rate=10, seconds=1, side=48, stills=1, still_side=96)
    np.testing.assert_allclose(middles(stills), middles(clip.frames), atol=1)
    np.testing.assert_allclose(views.frames[0, 24, 8::16], middles(clip.frames), atol=3)


@pytest.mark.parametrize('curve', ['pq', 'hlg'])
def test_brighter_light_is_never_darker_and_the_peak_is_white(curve):
    grey = np.repeat(np.linspace(0, 65535, 4096).astype(np.uint16)[None, :, None], 3, 2)
    levels = Tone(curve=curve, primaries=9, peak=1000 / WHITE).apply(grey)[0, :, 0].astype(int)
    assert (np.diff(levels) >= 0).all() and levels[0] == 0 and levels[-1] == 255
    paper = coded(np.full((1, 1, 3), WHITE), curve)
    assert 225 <= Tone(curve=curve, primaries=9, peak=1000 / WHITE).apply(paper)[0, 0, 0] < 255
    assert Tone(curve=curve, primaries=9, peak=1.0).apply(paper)[0, 0, 0] >= 254


def test_curves_are_those_of_the_standards():
    assert _light('pq')[-1] * WHITE == pytest.approx(10_000, rel=1e-5)
    assert _light('pq')[round(0.508 * 65535)] * WHITE == pytest.approx(100, rel=0.01)  # BT.2408: 100 cd/m² is 51 % PQ
    assert _light('hlg')[round(0.75 * 65535)] ** 1.2 * 1000 == pytest.approx(WHITE, rel=0.01)  # and 203 cd/m² is 75 % HLG
    np.testing.assert_allclose(_to_709(9), [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], atol=2e-4)


@pytest.mark.parametrize(('primaries', 'tag'), [(9, 9), (12, 1)])
def test_a_wide_gamut_is_named_and_brought_to_709(tmp_path, primaries, tag):
    path = tmp_path / 'clip.mp4'
    light = (patches() / 255) ** GAMMA @ np.linalg.inv(_to_709(primaries)).T
    encode(path, np.rint(65535 * light.clip(0, 1) ** (1 / GAMMA)).astype(np.uint16), tag=tag, trc=14 if primaries == 9 else 1,
           primaries=primaries, pix_fmt='yuv420p10le', codec='libx265', options=QUIET)
    clip = read_clip(path, rate=10)
    assert clip.dynamic_range == 'wide gamut'
    np.testing.assert_allclose(middles(clip.frames), PATCHES, atol=6)


def test_dolby_vision_is_shown_by_its_base_or_refused_where_it_has_none(tmp_path):
    for name, marks in (('base.mp4', {'tag': 9, 'trc': 16, 'primaries': 9}), ('none.mp4', {})):
        encode(tmp_path / name, patches(), pix_fmt='yuv420p10le', codec='libx265', options=QUIET, **marks)
        renamed(tmp_path / name, b'hev1', b'dvhe')
    assert read_clip(tmp_path / 'base.mp4', rate=10).dynamic_range == 'dolby vision pq'
    with pytest.raises(BadClip, match='Dolby Vision of profile 5'):
        probe(tmp_path / 'none.mp4')


def test_colours_without_a_matrix_are_refused_by_their_name(tmp_path):
    encode(tmp_path / 'clip.mp4', patches(), tag=14, pix_fmt='yuv420p10le', trc=16, primaries=9)
    with pytest.raises(BadClip, match='its colours are ICtCp'):
        read_clip(tmp_path / 'clip.mp4', rate=10)
