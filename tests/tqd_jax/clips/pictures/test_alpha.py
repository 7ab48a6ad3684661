"""Transparent pictures: over black or white, at every size, for every codec that has them."""
import av
import numpy as np
import pytest
from PIL import Image

from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.read import read_clip, read_views

CODECS = [('webm', 'libvpx-vp9', 'yuva420p'), ('mov', 'prores_ks', 'yuva444p10le'), ('mov', 'qtrle', 'argb'), ('mov', 'png', 'rgba'),
          ('mkv', 'ffv1', 'yuva420p'), ('avi', 'utvideo', 'gbrap')]
COLOUR, SHARES = np.array([200, 100, 0]), np.array([1, 128 / 255, 0])  # opaque, half and fully transparent, side by side


def encode(path, codec, pix_fmt):
    picture = np.zeros((64, 96, 4), np.uint8)
    picture[..., :3], picture[..., 3] = COLOUR, np.rint(255 * SHARES.repeat(32))
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgba')))
        container.mux(stream.encode())


@pytest.mark.parametrize(('background', 'level'), [('black', 0), ('white', 255)])
@pytest.mark.parametrize(('suffix', 'codec', 'pix_fmt'), CODECS)
def test_what_lies_behind_shows_through(tmp_path, suffix, codec, pix_fmt, background, level):
    path, options = tmp_path / f'clip.{suffix}', PictureOptions(background=background)
    encode(path, codec, pix_fmt)
    expected = level + SHARES[:, None] * (COLOUR - level)
    views, stills = read_views(path, rate=10, seconds=1, side=32, stills=1, still_side=48, options=options)
    for frames in (read_clip(path, rate=10, options=options).frames, views.frames, stills):
        width = frames.shape[2]
        np.testing.assert_allclose(frames[1, frames.shape[1] // 2, [width // 6, width // 2, 5 * width // 6]] if len(frames) > 1 else
                                   frames[0, frames.shape[1] // 2, [width // 6, width // 2, 5 * width // 6]], expected, atol=4)


def test_hidden_colours_do_not_bleed_into_a_shrunken_picture(tmp_path):
    path = tmp_path / 'clip.mov'
    encode(path, 'qtrle', 'argb')
    views, _ = read_views(path, rate=10, seconds=1, side=8, stills=1, still_side=8)
    for frames in (read_clip(path, rate=10, short_side=8).frames, views.frames):
        assert frames[0, :, 8:].max() == 0


def test_a_gif_is_over_the_background_too(tmp_path):
    pictures = [Image.new('P', (48, 32), 0) for _ in range(3)]
    for i, picture in enumerate(pictures):
        picture.putpalette([255, 0, 0, 0, 200, 0] + 762 * [0])
        picture.paste(1, (i, 0, 24 + i, 32))
    pictures[0].save(tmp_path / 'clip.gif', save_all=True, append_images=pictures[1:], duration=100, transparency=0, disposal=2)
    for background, level in (('black', 0), ('white', 255)):
        frames = read_clip(tmp_path / 'clip.gif', rate=10, options=PictureOptions(background=background)).frames
        np.testing.assert_array_equal(frames[0, 16, 40], 3 * [level])
        np.testing.assert_array_equal(frames[0, 16, 10], [0, 200, 0])


def test_options_name_what_differs():
    assert PictureOptions().version != PictureOptions(background='white').version != PictureOptions(deinterlace='always').version
    with pytest.raises(ValueError, match="got 'grey'"):
        PictureOptions(background='grey')
