"""Copies that look different and are no better: burnt-in text and bars, sharpening, upscaling, ringing, grain."""
import cv2
import numpy as np

from benchmarks.scoring import burnt
from benchmarks.scoring.damage_copies import add_noise, resize, upscale
from benchmarks.scoring.kind import CLIP, Kind, Must


def sharpen(frames, sigma, amount):
    """Unsharp masking."""
    soft = (cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames)
    return np.stack([cv2.addWeighted(frame, 1 + amount, low, -amount, 0) for frame, low in zip(frames, soft, strict=True)])


def adaptive_sharpen(frames, strength=1.0):
    """Contrast adaptive sharpening (AMD's FidelityFX CAS, as libav's filter of that name has it), strength in [0, 1]."""
    return np.stack([_cas(frame.astype(np.float32) / 255, strength) for frame in frames])


def _cas(x, strength):
    near = np.stack([np.roll(x, shift, axis) for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1))])
    low, high = np.minimum(x, near.min(0)), np.maximum(x, near.max(0))
    weight = np.sqrt(np.clip(np.minimum(low, 1 - high) / np.maximum(high, 1e-6), 0, 1)) * -1 / (8 - 3 * strength)
    return (255 * np.clip((x + weight * near.sum(0)) / (1 + 4 * weight), 0, 1)).round().astype(np.uint8)


def jpeg(frames, quality):
    """Every frame as a JPEG file would leave it."""
    files = (cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in frames)
    return np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR) for file in files])


def comb(frames):
    """Every other line comes from the next frame, as in interlaced film shown as it is."""
    out = frames.copy()
    out[:-1, 1::2] = frames[1:, 1::2]
    return out


def aliased(frames):
    """Every third pixel, repeated: what a scaler without a filter makes, with its moiré."""
    height, width = frames.shape[1:3]
    return resize(frames[:, ::3, ::3], (width, height), cv2.INTER_NEAREST)


def screen_moire(frames, amount=12):
    """Waves as of a screen that was filmed."""
    y, x = np.mgrid[:frames.shape[1], :frames.shape[2]].astype(np.float32)
    wave = amount * np.sin(0.9 * x + 0.0007 * y**2) * np.sin(0.8 * y + 0.0005 * x**2)
    return np.stack([np.clip(frame + wave[..., None], 0, 255).round().astype(np.uint8) for frame in frames])


def dithered(frames, levels=4):
    """Few levels a channel by ordered dithering, 4 x 4."""
    bayer = np.float32([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 + 1 / 32
    height, width = frames.shape[1:3]
    tile = np.tile(bayer, (-(-height // 4), -(-width // 4)))[:height, :width, None]
    step = 255 / (levels - 1)
    return np.stack([(np.clip(np.floor(frame / step + tile), 0, levels - 1) * step).round().astype(np.uint8) for frame in frames])


def _no_rise(group, copies, than=CLIP):
    return tuple(Kind(name, make, (Must('visual', 'not rise', than),), group=group) for name, make in copies.items())


def _with_overlay(copies):
    musts = (Must('visual', 'not rise'), Must('overlay', 'rise'))
    return tuple(Kind(name, make, musts, group='burnt-in text') for name, make in copies.items())


TEXTS = _with_overlay({
    'watermark': lambda x, fps: (burnt.watermark(x), fps),
    'watermark, faint': lambda x, fps: (burnt.watermark(x, 0.2, 'SAMPLE', 0.22, (0.12, 0.6), 600), fps),
    'watermark, dark': lambda x, fps: (burnt.watermark(x, 0.7, 'copyright 2021', 0.06, (0.05, 0.12), 400, (15, 15, 15)), fps),
    'watermark, tiled': lambda x, fps: (burnt.tiled(x), fps),
    'watermark, tiled and level': lambda x, fps: (burnt.tiled(x, 0.8, 'preview', 0.06, 0), fps),
    'watermark that jumps': lambda x, fps: (burnt.bouncing(x, fps), fps),
    'logo': lambda x, fps: (burnt.logo(x), fps),
    'clock': lambda x, fps: (burnt.clock(x, fps), fps),
    'subtitles': lambda x, fps: (burnt.subtitles(x, fps), fps),
    'subtitles, yellow': lambda x, fps: (burnt.subtitles(x, fps, 2.0, 0.06, colour=(250, 230, 40)), fps),
    'subtitles in a box': lambda x, fps: (burnt.subtitles(x, fps, boxed=True), fps),
    'ticker': lambda x, fps: (burnt.ticker(x, fps), fps),
    'ticker without a band': lambda x, fps: (burnt.ticker(x, fps, boxed=False), fps),
})
FRAMES = _no_rise('bars and frames', {
    'bars, black': lambda x, fps: (burnt.bars(x), fps),
    'bars, black, at the sides': lambda x, fps: (burnt.bars(x, sides=True), fps),
    'bars, white': lambda x, fps: (burnt.bars(x, (255, 255, 255)), fps),
    'bars, blue': lambda x, fps: (burnt.bars(x, (30, 60, 200), 0.1), fps),
    'bars of a gradient': lambda x, fps: (burnt.gradient_bars(x), fps),
    'blurred sides': lambda x, fps: (burnt.blurred_sides(x), fps),
    'ornament around': lambda x, fps: (burnt.border(x), fps),
    'text page at the end': lambda x, fps: (burnt.text_page(x), fps),
})
EFFECTS = _no_rise('sharpening, scaling, artefacts', {
    'sharpened, sigma 1, amount 1': lambda x, fps: (sharpen(x, 1, 1), fps),
    'sharpened, sigma 1.5, amount 0.5': lambda x, fps: (sharpen(x, 1.5, 0.5), fps),
    'sharpened, sigma 2, amount 3': lambda x, fps: (sharpen(x, 2, 3), fps),
    'sharpened by contrast (CAS)': lambda x, fps: (adaptive_sharpen(x), fps),
    'down and up, nearest': lambda x, fps: (upscale(x, 2, cv2.INTER_NEAREST), fps),
    'down and up, Lanczos': lambda x, fps: (upscale(x, 2, cv2.INTER_LANCZOS4), fps),
    'down and up, then sharpened': lambda x, fps: (sharpen(upscale(x, 2), 1.5, 1.5), fps),
    'JPEG, quality 10': lambda x, fps: (jpeg(x, 10), fps),
    'JPEG, quality 40': lambda x, fps: (jpeg(x, 40), fps),
    'film grain': lambda x, fps: (add_noise(x, 5), fps),
    'combed': lambda x, fps: (comb(x), fps),
    'aliased': lambda x, fps: (aliased(x), fps),
    'moiré of a screen': lambda x, fps: (screen_moire(x), fps),
    'dithered': lambda x, fps: (dithered(x), fps),
})
VISUAL_KINDS = (*TEXTS, *FRAMES, *EFFECTS)
