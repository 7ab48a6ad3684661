"""Codecs: which sizes fit, and by how much those that do not miss it."""
import pytest

from tqd_jax.latents.codec import check_sizes, nearest
from tqd_jax.latents.pixels import PixelCodec


def test_pixels_take_every_size_that_the_patch_divides():
    PixelCodec().check(8, 32, 48, (2, 4, 4))
    PixelCodec().check(7, 31, 1, (1, 1, 1))
    with pytest.raises(ValueError, match=r'2 frames of 4 x 8 latents: frames 7 \(take 6 or 8\), height 30 \(take 28 or 32\)$'):
        PixelCodec().check(7, 30, 48, (2, 4, 8))
    with pytest.raises(ValueError, match=r'width 3 \(take 8\)'):
        PixelCodec().check(8, 32, 3, (2, 4, 8))


def test_the_nearest_sizes_of_a_codec_with_strides():
    """Lengths 4 k + 1, as of a codec that takes the first frame by itself."""
    fits = lambda n: n % 4 == 1
    assert nearest(20, fits) == '17 or 21' and nearest(0, fits) == '1' and nearest(4, fits) == '1 or 5'
    check_sizes({'frames': 81}, {'frames': fits}, 'unused')


def test_there_is_nothing_to_load_for_pixels():
    with pytest.raises(ValueError, match=r'no parameters, so vae\.npz'):
        PixelCodec().load('vae.npz')
    assert PixelCodec().init(None) == {} and PixelCodec() == PixelCodec() and hash(PixelCodec()) == hash(PixelCodec())
