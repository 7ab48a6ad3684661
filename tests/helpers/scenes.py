"""Clips whose motion is known in closed form: a textured world, a camera that moves over it, an object of its own texture."""
import itertools

import cv2
import numpy as np

SIZE, RATE = 128, 12.0


def texture(seed=0, size=3 * SIZE):
    """A smooth random picture in RGB, rich at every scale that flow needs."""
    noise = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    picture = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.5, 3, 6))
    scaled = cv2.normalize(picture, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, -1)


def moving(pixels, count=9):
    """A window that slides over the texture by `pixels` a frame."""
    picture = texture()
    return np.stack([picture[SIZE:2 * SIZE, 40 + pixels * i:40 + SIZE + pixels * i] for i in range(count)])


def times(frames, rate=RATE):
    return np.arange(len(frames)) / rate


def half(frame):
    return cv2.resize(frame, (frame.shape[1] // 2, frame.shape[0] // 2), interpolation=cv2.INTER_AREA)


def views(pan=(0.0, 0.0), zoom=1.0, roll=0.0, count=9):
    """Where a camera looks [count, 3, 3]: from pixels of a frame to the world's; pan in pixels, zoom as a factor, roll in rad a frame."""
    centre, world = np.eye(3), np.eye(3)
    centre[:2, 2], world[:2, 2] = -(SIZE - 1) / 2, 1.5 * SIZE
    steps = np.arange(count) - (count - 1) / 2
    return np.stack([world @ _moved(i * np.array(pan), zoom ** -i, i * roll) @ centre for i in steps])


def _moved(shift, scale, angle):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [0, 0, 1]])


def filmed(looks, seed=0):
    """The world as those views show it, uint8 [F, SIZE, SIZE, 3]."""
    world = texture(seed)
    return np.stack([cv2.warpAffine(world, look[:2], (SIZE, SIZE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP) for look in looks])


def camera_speed(looks, rate=RATE):
    """Mean |flow| over the picture that those views make, diagonals a second: p goes to V_{i+1}^-1 V_i p."""
    y, x = np.mgrid[:SIZE, :SIZE].reshape(2, -1).astype(float)
    points = np.stack([x, y, np.ones_like(x)])
    paths = [np.linalg.norm((np.linalg.solve(b, a @ points) - points)[:2], axis=0).mean() for a, b in itertools.pairwise(looks)]
    return np.mean(paths) * rate / (SIZE * np.sqrt(2))


def with_object(frames, pixels, side=56, seed=5):
    """The frames with a square of its own texture, which goes `pixels` a frame to the right on the picture."""
    thing, frames = texture(seed)[:side, :side], frames.copy()
    top, left = (SIZE - side) // 2, (SIZE - side) // 2 - pixels * (len(frames) - 1) // 2
    for i, frame in enumerate(frames):
        frame[top:top + side, left + pixels * i:left + pixels * i + side] = thing
    return frames
