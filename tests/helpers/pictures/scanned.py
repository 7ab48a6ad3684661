"""Moving pictures as cameras of several kinds scan them: progressive, interlaced, telecined."""
import cv2
import numpy as np

SIZE = 96, 144
RATE = 25
_TEXTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (SIZE[0], 1200)).astype(np.float32), (0, 0), 2.0)
TEXTURE = ((_TEXTURE - 128) * 4 + 128).clip(0, 255).astype(np.uint8)[..., None].repeat(3, 2)  # grey, since video halves colour


def scene(seconds, speed):
    """A texture that moves to the left by `speed` pixels a second."""
    left = round(speed * seconds)
    return TEXTURE[:, left:left + SIZE[1]]


def progressive(count, speed=60):
    return np.stack([scene(i / RATE, speed) for i in range(count)])


def interlaced(count, speed=60, top_first=True):
    """Lines of two moments, half a frame apart."""
    frames = progressive(count, speed)
    for i in range(count):
        frames[i, int(top_first)::2] = scene((i + 0.5) / RATE, speed)[int(top_first)::2]
    return frames


def telecined(count, speed=60):
    """Four pictures of film as five of video, by fields of 2, 3, 2 and 3."""
    fields = [scene(i / 24, speed) for i in range(count) for _ in range(2 + i % 2)]
    frames = [first.copy() for first in fields[:-1:2]]
    for frame, second in zip(frames, fields[1::2], strict=False):
        frame[1::2] = second[1::2]
    return np.stack(frames)
