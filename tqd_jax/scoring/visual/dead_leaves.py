"""Pristine pictures with the statistics of natural ones, rendered: dead leaves, each a pure function of (seed, index)."""
import cv2
import numpy as np

FINER = 2  # rendered this many times finer, then averaged by area as a sensor does
SMALLEST, LARGEST = (1.5, 6.0), 250.0  # radii in pixels: the lower cut-off's range over pictures, the upper one
LEAVES = 6.0  # how many lie over a pixel
POINTS = 24
CORNERS = (POINTS, 3, 4, 5)  # of the outlines; with all the points an ellipse
TONES, TINT = (5.0, 40.0), 2.0  # grey levels that leaves differ by, range over pictures, and their channels
TEXTURES, EXPONENTS = (4.0, 20.0), (0.8, 1.0)  # grey levels of the textures, range over pictures, and slopes of their spectra
PLAIN = 0.1  # shape of the gamma distribution of both over leaves: most differ little and have hardly a texture, a few much
LENS, SENSOR = (0.3, 0.6), (0.05, 0.4)  # blur in pixels and noise in grey levels: both hardly seen
PERIOD = 512  # of the textures, a power of two


def dead_leaves(seed, index, *, height=288, width=384):
    """A dead leaves picture (Lee, Mumford & Huang 2001), uint8 [height, width, 3] RGB: opaque shapes that fall over each other.

    Radii are drawn from r^-3, which makes a picture look alike at all scales between the cut-offs, and its power spectrum about f^-2.
    Shapes are ellipses and polygons, each with a colour and a texture with a 1/f spectrum; over it lie the faint blur of a lens and the
    noise of a sensor. Smallest radius, contrasts, blur and noise differ from picture to picture, as those of natural ones do.
    """
    rng = np.random.default_rng([seed, index])
    labels, count = _leaves(rng, FINER * height, FINER * width)
    picture = cv2.resize(_paint(rng, labels, count), (width, height), interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*LENS))
    picture += _between(rng, SENSOR) * rng.standard_normal(picture.shape, np.float32)
    return np.clip(picture.round(), 0, 255).astype(np.uint8)


def radii(rng, count, smallest, largest):
    """Radii [count] from the density r^-3 on [smallest, largest], by its inverse distribution function."""
    return (smallest**-2 - rng.random(count) * (smallest**-2 - largest**-2)) ** -0.5


def one_over_f(rng, size, exponent=1.0):
    """A periodic random texture float32 [size, size] whose amplitude falls as f^-exponent, of mean 0 and variance 1."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((size, size)))
    texture = np.fft.irfft2(white * frequency**-exponent, s=(size, size))
    return (texture / texture.std()).astype(np.float32)


def _leaves(rng, height, width):
    """Which leaf is on top at each pixel, int32 [height, width], and how many there are with the ground, which is number 0."""
    smallest, largest = FINER * _between(rng, SMALLEST), FINER * LARGEST
    mean_area = 2 * np.pi * np.log(largest / smallest) / (smallest**-2 - largest**-2)
    count = round(LEAVES * height * width / mean_area)
    centres = rng.uniform(-0.1, 1.1, (count, 2)) * (width, height)
    outlines = _outlines(rng.choice(CORNERS, count), rng.uniform(0, 2 * np.pi, count), rng.uniform(0.4, 1, count))
    points = centres[:, None] + radii(rng, count, smallest, largest)[:, None, None] * outlines
    labels = np.zeros((height, width), np.int32)
    for leaf, polygon in enumerate(np.round(16 * points).astype(np.int32), 1):
        cv2.fillPoly(labels, [polygon], leaf, shift=4)  # coordinates in sixteenths
    return labels, count + 1


def _outlines(corners, turns, stretches):
    """Regular polygons of radius 1, pressed flat and turned, as POINTS corners [n, POINTS, 2] each: where there are fewer, repeated."""
    corners = corners[:, None]
    angles = np.arange(POINTS) * corners // POINTS * 2 * np.pi / corners
    x, y = np.cos(angles), stretches[:, None] * np.sin(angles)
    cosine, sine = np.cos(turns)[:, None], np.sin(turns)[:, None]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=2)


def _paint(rng, labels, count):
    """Every leaf in its colour and its piece of one texture, float32 [height, width, 3]."""
    tones = 128 + rng.uniform(-30, 30) + _between(rng, TONES) * rng.standard_normal((count, 1)) * rng.gamma(PLAIN, 1 / PLAIN, (count, 1))
    colours = np.clip(tones + rng.normal(0, TINT, (count, 3)), 8, 247).astype(np.float32)
    contrasts = (_between(rng, TEXTURES) * rng.gamma(PLAIN, 1 / PLAIN, count)).astype(np.float32)
    texture = one_over_f(rng, PERIOD, rng.uniform(*EXPONENTS)).ravel()
    rows, columns = np.ogrid[:labels.shape[0], :labels.shape[1]]
    places = (rng.integers(0, texture.size, count)[labels] + PERIOD * rows + columns) % texture.size
    return colours[labels] + (contrasts[labels] * texture[places])[..., None]


def _between(rng, ends):
    """A draw that is uniform in the logarithm."""
    return np.exp(rng.uniform(*np.log(ends)))
