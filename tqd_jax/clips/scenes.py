"""The rendered world: small scenes of moving sprites with exact trajectories, each a pure function of (seed, index)."""
import dataclasses
import math

import numpy as np

COLOURS = {'red': (235, 60, 50), 'green': (60, 205, 80), 'blue': (80, 130, 255), 'yellow': (250, 220, 60), 'pink': (245, 120, 225),
           'white': (245, 245, 245)}
SHAPES = ('disc', 'ring', 'triangle', 'square', 'star')
POLYGONS = {'triangle': (3, 0.5, 0.0), 'square': (4, math.sqrt(0.5), math.pi / 4), 'star': (5, 0.45, 0.0)}  # corners, inner radius, turn
KINDS = {'golden': 0.219, 'motion': 0.315, 'visual': 0.315, 'poor': 0.151}  # shares; golden as on Koala-36M
SPEEDS = {True: (0.35, 0.9), False: (0.0, 0.05)}  # frame diagonals a second: rich in motion, nearly static
TWO_SPRITES = 0.1  # share of scenes
WEAVE = 8 / 64  # period of the background's texture, in frame widths: one for all, so that sharpness compares
STRIPES = 5 / 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sprite:
    """A shape that moves; lengths in frame widths, velocity in frame widths a second."""

    shape: str
    colour: str
    radius: float
    start: tuple[float, float]
    velocity: tuple[float, float]
    angle: float  # of its stripes

    def __post_init__(self):
        if self.shape not in SHAPES or self.colour not in COLOURS:
            raise ValueError(f'no sprite is a {self.colour} {self.shape}')
        if not 0 < self.radius < 0.5:
            raise ValueError(f'radius {self.radius} is not in (0, 0.5)')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """Sprites over a still background: a gradient between two dark colours along `angle`, with a weave of this `phase`."""

    kind: str
    sprites: tuple[Sprite, ...]
    colours: tuple[tuple[float, float, float], tuple[float, float, float]]
    angle: float
    phase: tuple[float, float]

    @property
    def caption(self):
        return ' and '.join(f'a {sprite.colour} {sprite.shape}' for sprite in self.sprites)

    @property
    def motion(self):
        """Mean speed of the sprites, in frame diagonals a second; a bounce keeps the speed."""
        return float(np.mean([math.hypot(*sprite.velocity) for sprite in self.sprites]) / math.sqrt(2))


def kind(seed, index):
    """The kind of clip `index`. A Weyl sequence: every run of n clips holds each kind's share to within a few clips."""
    place = (np.random.default_rng([seed, 0]).random() + index * (math.sqrt(5) - 1) / 2) % 1
    return list(KINDS)[int(np.searchsorted(np.cumsum(list(KINDS.values()))[:-1], place, side='right'))]


def scene(seed, index):
    """The Scene of clip `index` of the library of `seed`."""
    rng = np.random.default_rng([seed, 1, index])
    kind_ = kind(seed, index)
    speed = math.sqrt(2) * rng.uniform(*SPEEDS[kind_ in ('golden', 'motion')])
    count = 1 + int(rng.random() < TWO_SPRITES)
    colours = rng.choice(list(COLOURS), count, replace=False)
    sprites = tuple(_sprite(rng, str(colour), speed, (k / count, (k + 1) / count)) for k, colour in enumerate(colours))
    dark = rng.uniform(45, 85, 2)[:, None] + rng.uniform(-15, 15, (2, 3))
    return Scene(kind=kind_, sprites=sprites, colours=tuple(map(tuple, dark.tolist())), angle=rng.uniform(0, 2 * math.pi),
                 phase=tuple(rng.uniform(0, 2 * math.pi, 2).tolist()))


def _sprite(rng, colour, speed, lane):
    radius, heading = rng.uniform(0.17, 0.22), rng.uniform(0, 2 * math.pi)
    start = radius + (1 - 2 * radius) * np.array([rng.uniform(*lane), rng.random()])  # two sprites start side by side
    return Sprite(shape=str(rng.choice(SHAPES)), colour=colour, radius=radius, start=tuple(start.tolist()),
                  velocity=(speed * math.cos(heading), speed * math.sin(heading)), angle=rng.uniform(0, math.pi))


def positions(sprite, times):
    """Where its centre is at `times` [F] in s: [F, 2] as (x, y) in frame widths; it bounces off the borders without loss."""
    low, span = sprite.radius, 1 - 2 * sprite.radius
    free = np.asarray(sprite.start) + np.multiply.outer(times, sprite.velocity) - low
    return low + span - np.abs(free % (2 * span) - span)


def render(scene, *, size=64, fps=12, count=24):
    """The Scene as frames uint8 [count, size, size, 3] RGB, anti-aliased, before any degradation."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    frames = np.repeat(_background(scene, x, y)[None], count, axis=0)
    for sprite in scene.sprites:
        place = positions(sprite, np.arange(count) / fps).astype(np.float32)
        dx, dy = x - place[:, 0, None, None], y - place[:, 1, None, None]
        near = np.maximum(np.abs(dx), np.abs(dy)) < sprite.radius + 1 / size
        dx, dy = dx[near], dy[near]
        cover = np.clip(0.5 - size * sprite.radius * outline(sprite.shape, dx / sprite.radius, dy / sprite.radius), 0, 1)[..., None]
        frames[near] += cover * (_skin(sprite, dx, dy) - frames[near])
    return np.clip(frames.round(), 0, 255).astype(np.uint8)


def outline(shape, x, y):
    """Signed distance from the outline of a shape of radius 1 (negative inside; past a polygon's corners a lower bound)."""
    radius = np.hypot(x, y)
    if shape == 'disc':
        return radius - 1
    if shape == 'ring':
        return np.abs(radius - 0.7) - 0.3
    corners, inner, turn = POLYGONS[shape]
    half = math.pi / corners
    folded = np.abs((np.arctan2(x, -y) + turn + half) % (2 * half) - half)  # every edge falls onto the one from (1, 0) to the inner corner
    edge = np.array([inner * math.cos(half) - 1, inner * math.sin(half)])
    normal = np.array([edge[1], -edge[0]], np.float32) / np.float32(np.hypot(*edge))
    return normal[0] * (radius * np.cos(folded) - 1) + normal[1] * radius * np.sin(folded)


def _skin(sprite, dx, dy):
    wave = np.sin((dx * math.cos(sprite.angle) + dy * math.sin(sprite.angle)) * (2 * math.pi / STRIPES))
    return np.asarray(COLOURS[sprite.colour], np.float32) * (0.85 + 0.15 * wave)[..., None]


def _background(scene, x, y):
    along = (x - 0.5) * math.cos(scene.angle) + (y - 0.5) * math.sin(scene.angle)
    across = (y - 0.5) * math.cos(scene.angle) - (x - 0.5) * math.sin(scene.angle)
    first, second = (np.asarray(colour, np.float32) for colour in scene.colours)
    pitch = 2 * math.pi / WEAVE
    weave = np.sin(along * pitch + scene.phase[0]) * np.sin(across * pitch + scene.phase[1])
    return first + (along + 0.5)[..., None] * (second - first) + 20 * np.tanh(2 * weave)[..., None]
