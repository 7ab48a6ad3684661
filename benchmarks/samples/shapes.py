"""Which of the five shapes an object has: a logistic regression on its outline, trained on rendered scenes of known shape."""
import dataclasses

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from benchmarks.samples.objects import find_objects
from benchmarks.samples.truth import clean_clips, library_clips, scenes_of
from tqd_jax.clips import scenes

TRAINING, HELD_OUT = 8_000, 8_001  # seeds of scenes that no sample is compared with
SCENES, FRAMES = 400, 4  # of training: scenes, and frames of each, at every size, clean and as the library has them
SIDES = (32, 64)  # pixels: the classifier reads outlines of 16 x 16, so one serves all sizes
FPS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
    """model: a fitted classifier of scikit-learn with predict_proba or, without probabilities, predict."""
    model: object

    def of_frames(self, crops):
        """float [N, F, 5]: how sure each frame's shape is, crops [N, F, 16, 16]; all 0 where nothing is lit."""
        flat, shapes = crops.reshape(-1, crops.shape[-1] ** 2), np.arange(len(scenes.SHAPES))
        probability = hasattr(self.model, 'predict_proba')
        sure = self.model.predict_proba(flat) if probability else (self.model.predict(flat)[:, None] == shapes).astype(float)
        return (sure * (flat.max(-1, keepdims=True) > 0)).reshape(*crops.shape[:2], len(shapes))

    def of_clips(self, crops):
        """int [N]: the shape that all frames of a clip together are likeliest to be; -1 where nothing is lit in any."""
        total = self.of_frames(crops).mean(1)
        return np.where(total.max(-1) > 0, total.argmax(-1), -1)


def train(kind='logistic', count=SCENES):
    """The Classifier fitted to rendered scenes, the same every time. kind: 'logistic', or 'kernel', another that stands beside it."""
    parts = [outlines(TRAINING, count, side, how) for side in SIDES for how in ('clean', 'library')]
    x = np.concatenate([crops.reshape(-1, crops.shape[-1] ** 2) for crops, _ in parts])
    y = np.concatenate([np.repeat(shape, FRAMES) for _, shape in parts])
    model = LogisticRegression(max_iter=300) if kind == 'logistic' else SVC(C=10)
    return Classifier(model=model.fit(x, y))


def accuracies(classifier, count=200):
    """{'32 clean': (of frames, of clips), ...}: shares of scenes never trained on whose shape the classifier names."""
    found = {}
    for side in SIDES:
        for how in ('clean', 'library'):
            crops, shape = outlines(HELD_OUT, count, side, how)
            frames = classifier.of_frames(crops).argmax(-1) == shape[:, None]
            found[f'{side} {how}'] = (float(frames.mean()), float((classifier.of_clips(crops) == shape).mean()))
    return found


def outlines(seed, count, side, how):
    """(crops float32 [count, FRAMES, 16, 16], shape int [count]) of rendered scenes; how: 'clean', or 'library' for degraded files."""
    pairs, shape = scenes_of(seed, count), (FRAMES, side, side)
    frames = clean_clips(pairs, shape, FPS) if how == 'clean' else library_clips(pairs, seed, shape, FPS)
    sprites = [scene.sprites[0] for _, scene in pairs]
    near = np.stack([scenes.positions(sprite, np.arange(FRAMES) / FPS) for sprite in sprites])
    colour = np.array([list(scenes.COLOURS).index(sprite.colour) for sprite in sprites])
    return find_objects(frames, colour, near).crops, np.array([scenes.SHAPES.index(sprite.shape) for sprite in sprites])
