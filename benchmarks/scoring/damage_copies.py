"""Copies that are slower, faster, poorer or the same: changes of the whole picture or of its time."""
import cv2
import numpy as np

from benchmarks.scoring.kind import FINE, USUAL, Kind, Must


def resize(frames, size, method=cv2.INTER_AREA):
    return np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])


def half(frames):
    return resize(frames, (frames.shape[2] // 2, frames.shape[1] // 2))


def blur(frames, sigma):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def add_noise(frames, sigma):
    noise = (sigma * np.random.default_rng(0).standard_normal(frame.shape, np.float32) for frame in frames)
    return np.stack([np.clip(frame + grain, 0, 255).round().astype(np.uint8) for frame, grain in zip(frames, noise, strict=True)])


def posterise(frames, step):
    return frames // step * step + step // 2


def middle(frames):
    """The first frame's middle half, held."""
    height, width = (side // 4 for side in frames.shape[1:3])
    return np.repeat(frames[:1, height:3 * height, width:3 * width], len(frames), 0)


def upscale(frames, factor, method=cv2.INTER_CUBIC):
    height, width = frames.shape[1:3]
    return resize(resize(frames, (round(width / factor), round(height / factor))), (width, height), method)


def _kinds(score, verb, copies):
    return tuple(Kind(name, make, (Must(score, verb),), crf) for name, (make, crf) in copies.items())


SLOWER = _kinds('motion', 'fall', {
    'frozen': (lambda x, fps: (np.repeat(x[:1], len(x), 0), fps), USUAL),
    'a still, cropped': (lambda x, fps: (middle(x), fps), USUAL),
    'half speed': (lambda x, fps: (x, fps / 2), USUAL),
    'half speed, frames doubled': (lambda x, fps: (np.repeat(x, 2, 0), fps), USUAL),
})
FASTER = _kinds('motion', 'rise', {
    'double speed': (lambda x, fps: (x, 2 * fps), USUAL),
    'double speed, every second frame': (lambda x, fps: (x[::2], fps), USUAL),
})
POORER = _kinds('visual', 'fall', {
    'blur, sigma 1': (lambda x, fps: (blur(x, 1), fps), USUAL),
    'blur, sigma 2': (lambda x, fps: (blur(x, 2), fps), USUAL),
    'noise, sigma 8': (lambda x, fps: (add_noise(x, 8), fps), USUAL),
    'noise, sigma 25': (lambda x, fps: (add_noise(x, 25), fps), USUAL),
    'low bit rate, crf 38': (lambda x, fps: (x, fps), 38),
    'low bit rate, crf 45': (lambda x, fps: (x, fps), 45),
    'down and up, factor 2': (lambda x, fps: (upscale(x, 2), fps), USUAL),
    'down and up, factor 3': (lambda x, fps: (upscale(x, 3), fps), USUAL),
    'down and up, factor 4': (lambda x, fps: (upscale(x, 4), fps), USUAL),
    'banding, 8 levels a step': (lambda x, fps: (posterise(x, 8), fps), USUAL),
    'banding, 16 levels a step': (lambda x, fps: (posterise(x, 16), fps), USUAL),
})
SAME = {kind.name: kind for kind in (
    Kind('encoded again', lambda x, fps: (x, fps), (Must('visual', 'stay'),), 12),
    Kind('every second frame', lambda x, fps: (x[::2], fps / 2), (), FINE),
    Kind('half the size', lambda x, fps: (half(x), fps), (), FINE),
)}  # of whose measures another table tells
DAMAGE_KINDS = (*SLOWER, *FASTER, *POORER, *SAME.values())
