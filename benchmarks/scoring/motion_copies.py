"""Copies of a clip that look as if they moved and do not, or of which only the camera moves."""
import cv2
import numpy as np

from benchmarks.scoring.kind import Kind, Must

GROUP = 'what is no motion'
NEWS = 'BREAKING NEWS  heavy rain in the north, trains are late  +++  markets close higher for a third day  +++  '
LINES = ('I never said that', 'and you waited?', 'It was the last train', 'Then we walk')
STILL, HEIGHT = 'frozen', 0.06  # the copy that a still is compared with; of letters, in shares of the shorter side


def held(frames):
    """The first frame, as long as the clip."""
    return np.repeat(frames[:1], len(frames), 0)


def write(frame, text, x, y, height=HEIGHT):
    """Writes an outlined line of text; x, y in pixels."""
    scale = height * min(frame.shape[:2]) / 22
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(frame, text, (round(x), round(y)), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, round(thick * scale)), cv2.LINE_AA)


def drawn(frames, draw):
    """A copy of the frames, on each of which draw(frame, its number) has drawn."""
    frames = frames.copy()
    for number, frame in enumerate(frames):
        draw(frame, number)
    return frames


def ticker(frames, fps, speed=0.25):
    """A line of text that runs along the bottom, frame diagonals a second."""
    height, width = frames.shape[1:3]
    step = speed * np.hypot(height, width) / fps
    return drawn(frames, lambda frame, i: write(frame, 3 * NEWS, width / 2 - step * i, 0.95 * height))


def subtitles(frames, fps):
    """Another line every second."""
    height, width = frames.shape[1:3]
    return drawn(frames, lambda frame, i: write(frame, LINES[int(i / fps) % len(LINES)], 0.2 * width, 0.92 * height))


def clock(frames, fps):
    return drawn(frames, lambda frame, i: write(frame, f'12:07:{int(i / fps):02d}.{int(100 * i / fps) % 100:02d}', 20, 0.1 * len(frame)))


def snow(frames, sigma, blur, seed=0):
    """Noise of analogue kind: alike over `blur` of the shorter side, another in each frame."""
    rng, size = np.random.default_rng(seed), frames.shape[1:3]
    grain = lambda: cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), max(0.3, blur * min(size)))
    return np.stack([np.clip(frame + sigma / one.std() * one[..., None], 0, 255).round().astype(np.uint8)
                     for frame in frames for one in [grain()]])


def flicker(frames, seed=0):
    gains = np.random.default_rng(seed).uniform(0.8, 1.1, len(frames))
    return np.stack([np.clip(frame * gain, 0, 255).astype(np.uint8) for frame, gain in zip(frames, gains, strict=True)])


def dissolve(frames):
    """The first frame fades into its mirror image."""
    share = np.clip(np.linspace(-0.5, 1.5, len(frames)), 0, 1)
    first, last = frames[0].astype(np.float32), frames[0][:, ::-1].astype(np.float32)
    return np.stack([(first * (1 - s) + last * s).round().astype(np.uint8) for s in share])


def filmed(frame, places, zooms):
    """The middle of a frame as a camera sees it that is at places [F, 2], in shares of the diagonal, and magnifies by zooms [F]."""
    height, width = frame.shape[:2]
    centre = np.array([width, height]) / 2
    shifts = [centre - centre / zoom + place * np.hypot(height, width) for place, zoom in zip(places, zooms, strict=True)]
    views = [np.c_[np.eye(2) / zoom, shift] for zoom, shift in zip(zooms, shifts, strict=True)]
    return np.stack([cv2.warpAffine(frame, view, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for view in views])


def shaken(frames, size, seed=0):
    """The first frame, jerked about by `size` diagonals."""
    places = np.random.default_rng(seed).uniform(-size, size, (len(frames), 2))
    return filmed(frames[0], places, np.full(len(frames), 1.25))


def panned(frames, fps, speed=0.04):
    """A slow pan over the first frame, to and fro every 2 s, diagonals a second."""
    along = speed * (np.abs((np.arange(len(frames)) / fps) % 4 - 2) - 1)
    return filmed(frames[0], np.c_[along, 0 * along], np.full(len(frames), 1.25))


def zoomed(frames, fps, speed=0.08):
    """A zoom into the first frame, by e every 1 / speed s."""
    return filmed(frames[0], np.zeros((len(frames), 2)), 1.05 * np.exp(speed * np.arange(len(frames)) / fps))


def _still(name, make):
    """A kind whose motion must be that of a still."""
    return Kind(name, lambda x, fps: (make(held(x), fps), fps), (Must('motion', 'stay', than=STILL),), group=GROUP)


def _camera(name, make):
    """A kind that only the camera moves."""
    musts = (Must('motion_camera', 'rise', than=STILL), Must('motion_object', 'stay', than=STILL))
    return Kind(name, lambda x, fps: (make(held(x), fps), fps), musts, group=GROUP)


MOTION_KINDS = (
    _still('a ticker on a still', ticker),
    _still('subtitles on a still', subtitles),
    _still('a clock on a still', clock),
    _still('analogue noise over a still', lambda x, fps: snow(x, 15, 0.01)),
    _still('snow on a blank wall', lambda x, fps: snow(np.full_like(x, 128), 40, 0.005)),
    _still('flicker of a still', lambda x, fps: flicker(x)),
    _still('a still dissolves', lambda x, fps: dissolve(x)),
    _still('a shaken still', lambda x, fps: shaken(x, 0.01)),
    _camera('a zoom into a still', zoomed),
    _camera('a slow pan over a still', panned),
    Kind('a ticker over the clip', lambda x, fps: (ticker(x, fps), fps), (Must('motion', 'stay'),), group=GROUP),
)
