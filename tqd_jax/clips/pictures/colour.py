"""Which colours the numbers of a frame mean: the matrix to RGB, and the dynamic range and gamut."""
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from tqd_jax.clips.pictures.side_data import side_data
from tqd_jax.clips.places import BadClip

MATRICES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 7: Colorspace.SMPTE240M,
            9: Colorspace.BT2020, 10: Colorspace.BT2020}  # by H.273's number
WITHOUT_MATRIX = {8: 'YCgCo', 11: "SMPTE 2085", 14: 'ICtCp', 15: 'IPT'}  # of which libav's converter has none
HIGH_DEFINITION = 1280, 576  # a wider or higher picture that names no matrix is BT.709's, as mpv takes it
CURVES = {ColorTrc.SMPTE2084: 'pq', ColorTrc.ARIB_STD_B67: 'hlg'}
WIDE = (ColorPrimaries.BT2020, ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432)
DOLBY_TAGS = ('dvh1', 'dvhe', 'dav1', 'dva1', 'dvav')


def matrix_of(frame):
    """The matrix between a frame's YUV and RGB: its own, or where it names none that of pictures of its size.

    Raises BadClip where libav has none for it.
    """
    if frame.format.is_rgb:
        return Colorspace.ITU709  # not used
    if frame.colorspace in WITHOUT_MATRIX:
        raise BadClip(f'its colours are {WITHOUT_MATRIX[frame.colorspace]}, which libav cannot show: convert it to BT.709 first')
    if frame.color_primaries == ColorPrimaries.BT2020 and frame.colorspace not in MATRICES:
        return Colorspace.BT2020
    return MATRICES.get(frame.colorspace, matrix_of_size(frame.width, frame.height))


def matrix_of_size(width, height):
    """The matrix that players take for a picture that names none."""
    return Colorspace.ITU709 if width >= HIGH_DEFINITION[0] or height > HIGH_DEFINITION[1] else Colorspace.ITU601


def dynamic_range(frame, codec_tag=''):
    """What a frame's numbers stand for: 'pq', 'hlg', 'wide gamut' (of standard range) or 'sdr'; 'dolby vision pq' where it lies on top.

    Raises BadClip for Dolby Vision without a picture that others can show (profile 5).
    """
    name = CURVES.get(frame.color_trc) or ('wide gamut' if frame.color_primaries in WIDE else 'sdr')
    dolby = codec_tag in DOLBY_TAGS or any(side_data(frame, kind) is not None for kind in ('DOVI_METADATA', 'DOVI_RPU_BUFFER'))
    if dolby and (frame.colorspace == 15 or frame.color_trc == ColorTrc.UNSPECIFIED):
        raise BadClip('Dolby Vision of profile 5, whose colours only its own decoders show: convert it to SDR, PQ or HLG first')
    return f'dolby vision {name}' if dolby else name
