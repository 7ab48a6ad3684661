"""True resolution: the share of a picture's pixels that its detail fills; the spectrum of an upscaled clip ends early."""
import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

WINDOW = 128  # pixels of a line whose spectrum is taken at a time
LINES = 96  # of a frame that are looked at, along each axis
FULL, EMPTY = -5.0, -13.0  # decibels from the peak of a whitened spectrum: a frequency counts fully, and not at all
DOUBT = 1.15  # times the noise floor that a spectrum must exceed
ROUNDING = 1 / 12  # squared grey levels that rounding alone explains
UNKNOWN = (0.75, 0.95)  # shares seen of a shrunk picture's band, from and to which its file may hold more
LEAST = 1 / WINDOW  # the share of one frequency
SMALLEST = 8  # pixels of the shorter side whose spectrum says anything


def resolution(lumas, scale=1.0):
    """{'true_resolution'}: the share in (0, 1] of its own height and width that a picture's detail fills, from lumas float32 [F, H, W].

    Along each axis P(f) is the mean power of Hann-windowed pieces of lines, f in cycles a pixel. Edges have P ~ f^-2, so
    W = f^2 (P - 1.15 N) is level, or rises, as far as the picture has detail; N is the noise floor, from P = c f^-2 + N over the last
    fifth of f and the fifth before. A frequency counts by the lowest W / (highest W so far) so far: fully above -5 dB, not at all below
    -13 dB. The share is the mean over frequencies, and the measure the geometric mean of both axes'. Interpolation by s has about 1 / s,
    a linear one less, whatever was sharp before; blur lowers it too. A picture without detail, or of less than 8 pixels, has 1.

    Bars have sharp edges of their own: pass what overlays.inside_bars leaves. scale <= 1 is by how much the file's pictures were shrunk
    before: what was seen to end is a share of the file's pixels, and a band that is seen to be full may go on, so it stays 1.
    """
    if min(lumas.shape[1:]) < SMALLEST:
        return {'true_resolution': 1.0}
    share = float(np.sqrt(_share(_power(lumas)) * _share(_power(lumas.transpose(0, 2, 1)))))
    certainty = 1 - np.clip((share - UNKNOWN[0]) / (UNKNOWN[1] - UNKNOWN[0]), 0, 1)
    return {'true_resolution': float(share * (1 + certainty * (scale - 1)))}


def _power(lumas):
    """P [n / 2] at f = 1/n, ..., 1/2, for pieces of n pixels of every few lines; white noise of unit variance has 1."""
    width = min(WINDOW, lumas.shape[2] // 2 * 2)
    lines = lumas[:, ::max(1, lumas.shape[1] // LINES), :lumas.shape[2] // width * width]
    pieces = lines.reshape(-1, width)
    window = np.hanning(width + 2)[1:-1].astype(np.float32)
    spectra = fft.rfft((pieces - pieces.mean(axis=1, keepdims=True)) * window, axis=1)
    return (np.square(spectra.real) + np.square(spectra.imag)).mean(axis=0)[1:] / np.square(window).sum()


def _share(power):
    """The share of an axis' band that is full."""
    frequency = np.arange(1, len(power) + 1) / (2 * len(power))
    white = uniform_filter1d(np.maximum(0, power - DOUBT * _floor(frequency, power)) * frequency**2, 3, mode='nearest')
    highest = np.maximum.accumulate(white)
    lowest = np.minimum.accumulate(np.divide(white, highest, out=np.ones_like(white), where=highest > 0))
    decibels = 10 * np.log10(np.maximum(lowest, 1e-9))
    return max(LEAST, np.clip((decibels - EMPTY) / (FULL - EMPTY), 0, 1).mean())


def _floor(frequency, power):
    """N, the part of the power at the end of the band that does not fall as f^-2."""
    last, before = frequency > 0.4, (frequency > 0.3) & (frequency <= 0.4)
    natural, other = (frequency[last]**-2).mean(), (frequency[before]**-2).mean()
    return max(ROUNDING, (power[last].mean() * other - power[before].mean() * natural) / (other - natural))
