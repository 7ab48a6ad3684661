"""The shape of a file's pixels: the size that a picture of oblong ones is shown in."""
WIDEST = 8  # times as wide as high, or the reverse, that a pixel may be; other ratios are damage and are left out


def shown_size(width, height, ratio):
    """(width, height) in square pixels of a picture whose pixels are `ratio` times as wide as high; None or nonsense is square.

    Only enlarges, as mpv does: the width where pixels are wide, the height where they are narrow; what is left of a pixel is cut off.
    """
    if not ratio or not 1 / WIDEST <= ratio <= WIDEST:
        return width, height
    return (int(width * ratio), height) if ratio > 1 else (width, int(height / ratio))


def pixel_ratio(stream):
    """The ratio of a stream's pixels, a Fraction or None: the container's where it has one, as players do, else the codec's."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
