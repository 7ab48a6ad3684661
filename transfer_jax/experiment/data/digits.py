"""The embedded domains: scikit-learn's handwritten digits and printed digits rendered here, so that a first run needs no file.

The sources differ in their worth to the target `scan` by design: `print` and `noisy` help, `swapped` has wrong labels.
"""
import functools
import pathlib

import cv2
import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from sklearn.datasets import load_digits

from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.splits import host_rng

SIZE, FINE = 16, 8  # pixels of an image's side, and pixels of a drawing per pixel of the image
FONTS = ('DejaVuSans', 'DejaVuSans-Bold', 'DejaVuSans-Oblique', 'DejaVuSansMono', 'DejaVuSansMono-Bold', 'DejaVuSerif', 'DejaVuSerif-Bold',
         'DejaVuSerif-Italic', 'STIXGeneral', 'STIXGeneralBol', 'STIXGeneralItalic', 'cmr10', 'cmss10', 'cmtt10', 'cmb10')


def digit_domains(*, seed: int = 0, examples: int = 800) -> Domains:
    """The Domains, inputs uint8 [n, 16, 16, 1]: `scan` with 1797 examples, the others with `examples` each; a function of the seed."""
    makers = {'scan': _scan, 'print': _print, 'noisy': _noisy, 'inverted': _invert, 'rotated': _rotate, 'swapped': _swap}
    domains = []
    for name, make in makers.items():
        rng = host_rng(seed, f'digits {name}')
        images, labels = make(rng, rng.permutation(np.arange(examples) % 10))
        domains.append(Domain(name=name, inputs=images[..., None], labels=labels.astype(np.int32)))
    return Domains(domains=tuple(domains), classes=tuple('0123456789'))


def _scan(rng, labels):
    """Handwritten, 8 x 8 with 17 grey values, enlarged."""
    data = load_digits()
    larger = lambda image: cv2.resize(np.uint8(image * 255 / 16), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return np.stack([larger(image) for image in data.images]), data.target


def _print(rng, labels):
    """In many fonts, thin and thick, slanted, stretched and shifted a little."""
    return np.stack([draw(rng, digit) for digit in labels]), labels


def _noisy(rng, labels):
    """Printed, dim, on a cloudy ground, with noise in every pixel."""
    images, _ = _print(rng, labels)
    clouds = np.stack([cv2.resize(rng.uniform(0, 110, (4, 4)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for _ in labels])
    noisy = clouds + images * rng.uniform(0.5, 0.75, (len(labels), 1, 1)) + rng.normal(0, 20, images.shape)
    return noisy.clip(0, 255).astype(np.uint8), labels


def _invert(rng, labels):
    """Printed dark on bright."""
    return 255 - _print(rng, labels)[0], labels


def _rotate(rng, labels):
    """Printed and turned by 30 to 60 degrees, either way."""
    angles = np.radians(rng.uniform(30, 60, len(labels)) * rng.choice([-1, 1], len(labels)))
    return np.stack([draw(rng, digit, angle) for digit, angle in zip(labels, angles, strict=True)]), labels


def _swap(rng, labels):
    """Printed, each with the label of the next digit: 0 has the label 1, 9 the label 0."""
    return _print(rng, labels)[0], (labels + 1) % 10


def draw(rng: np.random.Generator, digit: int, angle: float = 0.0) -> np.ndarray:
    """A digit as uint8 [16, 16], bright on dark, in a random font and shape; turned by `angle` in radians."""
    outlines = glyph(FONTS[rng.integers(len(FONTS))], int(digit))
    turn = angle + rng.normal(0, 0.06)
    shape = np.diag(rng.uniform([0.42, 0.8], [0.72, 0.98])) @ [[1, rng.normal(0.1, 0.15)], [0, 1]]  # width and height of 1, slanted
    shape = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]] @ shape
    middle = SIZE / 2 + rng.normal(0, 0.4, 2)
    points = [np.round(((outline @ shape.T) * [SIZE, -SIZE] + middle) * FINE).astype(np.int32) for outline in outlines]
    canvas = np.zeros((SIZE * FINE,) * 2, np.uint8)
    cv2.fillPoly(canvas, points, 255)
    if stroke := int(rng.integers(0, 9)):
        cv2.polylines(canvas, points, True, 255, stroke)
    return cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


@functools.cache
def glyph(font: str, digit: int) -> list[np.ndarray]:
    """A digit's outlines in a font that matplotlib bundles, polygons [m, 2] within a box of 1 x 1 around 0, y upwards."""
    path = pathlib.Path(matplotlib.get_data_path(), 'fonts', 'ttf', f'{font}.ttf')
    polygons = TextPath((0, 0), str(digit), size=100, prop=FontProperties(fname=str(path))).to_polygons()
    points = np.concatenate(polygons)
    low, high = points.min(0), points.max(0)
    return [(polygon - (low + high) / 2) / (high - low) for polygon in polygons]
