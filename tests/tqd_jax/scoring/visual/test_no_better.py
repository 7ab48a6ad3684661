"""What is burnt in, sharpened, scaled up or full of artefacts is no better: every kind of the benchmark's copies, on pictures made here."""
import cv2
import numpy as np
import pytest

from benchmarks.scoring.visual_copies import EFFECTS, FRAMES, TEXTS
from tqd_jax.scoring.visual.visual import visual

SIZE, COUNT, RATE = (270, 480), 6, 2.0
TOLD = {'watermark, faint', 'watermark, tiled', 'watermark that jumps'}  # too faint, or nowhere twice: found in some pictures only


def resting(seed=0):
    """A soft picture that rests, and a disc that moves over it: nothing but the form of text tells it from the scene."""
    noise = np.random.default_rng(seed).standard_normal((*SIZE, 3)).astype(np.float32)
    ground = cv2.normalize(sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (6, 12, 24)), None, 40, 200, cv2.NORM_MINMAX)
    frames = np.repeat(ground.round().astype(np.uint8)[None], COUNT, 0)
    for number, frame in enumerate(frames):
        cv2.circle(frame, (60 + 60 * number, 150), 28, (250, 230, 60), -1, cv2.LINE_AA)
        cv2.rectangle(frame, (330, 60), (400, 180), (90, 50, 40), -1)
    return frames


def panning(seed=1):
    """A camera that passes over soft things with clear edges."""
    rng = np.random.default_rng(seed)
    world = np.full((SIZE[0], SIZE[1] + 40 * COUNT, 3), 150, np.uint8)
    for _ in range(60):
        centre = int(rng.integers(0, world.shape[1])), int(rng.integers(0, world.shape[0]))
        cv2.ellipse(world, centre, tuple(int(r) for r in rng.integers(15, 50, 2)), float(rng.uniform(0, 180)), 0, 360,
                    tuple(int(c) for c in rng.integers(30, 220, 3)), -1, cv2.LINE_AA)
    world = cv2.GaussianBlur(world, (0, 0), 0.5)
    return np.stack([world[:, 40 * i:40 * i + SIZE[1]] for i in range(COUNT)])


# what docs/scoring.md says that it cannot tell
ALLOWED = {'watermark, faint': 1.1, 'sharpened, sigma 1, amount 1': 1.1, 'sharpened, sigma 1.5, amount 0.5': 1.1,
           'sharpened by contrast (CAS)': 1.1, 'down and up, then sharpened': 1.06, 'moiré of a screen': 1.05}
BASES = {'resting': resting(), 'panning': panning()}
SCORES = {name: visual(frames) for name, frames in BASES.items()}


@pytest.mark.parametrize('base', BASES)
@pytest.mark.parametrize('kind', (*TEXTS, *FRAMES, *EFFECTS), ids=lambda kind: kind.name)
def test_a_copy_looks_no_better_and_text_is_found(base, kind):
    row = visual(kind.make(BASES[base], RATE)[0])
    assert row['visual'] <= ALLOWED.get(kind.name, 1.01) * SCORES[base]['visual']
    assert not SCORES[base]['overlay']
    if kind in TEXTS and kind.name not in TOLD:
        assert row['overlay'] > 0.002
