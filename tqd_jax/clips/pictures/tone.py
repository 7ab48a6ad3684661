"""Pictures of a high dynamic range or a wide gamut as those of BT.709, by curves that are stated here."""
import dataclasses
import functools

import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries

from tqd_jax.clips.pictures.side_data import integers

WHITE = 203.0  # cd/m², of white paper in PQ and HLG (BT.2408), which becomes the white of SDR
PEAK = 1000.0  # cd/m², of the brightest place, where the file does not tell
KNEE = 0.75  # of white: below it light stays as it is, above it comes ever closer to white, which the peak reaches
GAMMA = 2.2  # of the displays that SDR is looked at on (sRGB, about)
HLG_GAMMA = 1.2  # of an HLG display of PEAK
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
CHROMATICITIES = {  # of red, green, blue and white
    ColorPrimaries.BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    ColorPrimaries.SMPTE431: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),  # DCI's white is shown as D65
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tone:
    """How RGB of one file becomes that of BT.709. curve: 'pq', 'hlg' or 'gamma'. primaries: of CHROMATICITIES.

    peak: of the brightest place, in units of white; at most 1 is no compression.
    """
    curve: str
    primaries: int
    peak: float

    def apply(self, rgb):
        """uint8 RGB of BT.709 of uint16 RGB [H, W, 3] as stored."""
        light = np.take(_light(self.curve), rgb)
        if self.curve == 'hlg':  # its display's own gamma goes by the luminance of the place
            light *= np.maximum(light @ LUMA_2020, 1e-6)[..., None] ** (HLG_GAMMA - 1)
            light *= PEAK / WHITE
        light = np.maximum(cv2.transform(light, _to_709(self.primaries)), 0)
        if self.peak > 1:
            light *= _compression(light.max(2), self.peak)[..., None]
        return np.rint(255 * cv2.pow(np.minimum(light, 1), 1 / GAMMA)).astype(np.uint8)


def tone_of(frame, name):
    """The Tone of a frame whose dynamic range has this name (of colour.dynamic_range), or None where it is BT.709's already."""
    curve = name.rpartition(' ')[2]
    if curve not in ('pq', 'hlg'):
        wide = frame.color_primaries in CHROMATICITIES and frame.color_primaries != ColorPrimaries.BT709
        return Tone(curve='gamma', primaries=int(frame.color_primaries), peak=1.0) if wide else None
    primaries = frame.color_primaries if frame.color_primaries in CHROMATICITIES else ColorPrimaries.BT2020
    return Tone(curve=curve, primaries=int(primaries), peak=(_peak(frame) if curve == 'pq' else PEAK) / WHITE)


def _peak(frame):
    """cd/m² of a PQ file's brightest place: of its content, else of the display that it was made on, else PEAK."""
    content, display = integers(frame, 'CONTENT_LIGHT_LEVEL'), integers(frame, 'MASTERING_DISPLAY_METADATA')
    peak = int(content[0]) if content is not None else 0
    if not peak and display is not None and len(display) >= 22 and display[21] and display[19]:
        peak = display[18] / display[19]  # a rational number after the primaries, white and the darkest place
    return float(np.clip(peak, WHITE, 10_000)) if peak > 0 else PEAK


@functools.cache
def _light(curve):
    """float32 [65536]: light in units of white (of HLG: of the scene, 1 is its brightest) by a stored number."""
    value = np.linspace(0, 1, 65536)
    if curve == 'pq':  # SMPTE ST 2084
        root = value ** (1 / 78.84375)
        light = 10_000 / WHITE * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    elif curve == 'hlg':  # ARIB STD-B67
        light = np.where(value <= 0.5, value ** 2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = value ** GAMMA
    return light.astype(np.float32)


@functools.cache
def _to_709(primaries):
    return (np.linalg.inv(_to_xyz(ColorPrimaries.BT709)) @ _to_xyz(primaries)).astype(np.float32)


def _to_xyz(primaries):
    """The matrix from RGB of these primaries to XYZ, whose white is theirs."""
    *rgb, white = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in CHROMATICITIES[primaries]]
    columns = np.stack(rgb, 1)
    return columns * np.linalg.solve(columns, white)


def _compression(brightest, peak):
    """What the light of a place is multiplied by, from its brightest channel: 1 up to KNEE, then a hyperbola of slope 1 there.

    In units above the knee u -> u (1 + u / top²) / (1 + u), which reaches 1 at u = top, the peak (Reinhard's curve with a white point).
    """
    top = (peak - KNEE) / (1 - KNEE)
    above = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
    shown = KNEE + (1 - KNEE) * np.minimum(above * (1 + above / top ** 2) / (1 + above), 1)
    return np.where(brightest > KNEE, shown / np.maximum(brightest, KNEE), 1).astype(np.float32)
