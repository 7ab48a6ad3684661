"""The measurements of a study: samples of a run, clips themselves, the loss before any step, and the library."""
import numpy as np

from benchmarks.studies.measures.measures import distances, measure
from benchmarks.studies.measures.reference import make_reference
from benchmarks.studies.training.jobs import finite, golden_loss
from transfer_jax.runtime.errors import UserError

QUADRANTS = ('golden', 'motion_only', 'visual_only', 'poor')  # masks of Clips


def make_evaluator(study):
    """The function evaluate(frames, clips=held-out ones) -> {measure: number}: means over samples, and distances of the set."""
    reference = make_reference(study.world)

    def evaluate(frames, clips=study.held_out):
        values = measure(frames, clips.captions[:len(frames)], reference)
        distance = distances(frames, values, reference)
        means = {name: float(np.mean(own)) for name, own in values.items()}
        return means | {'frechet': distance['frechet'], 'speeds': distance['speed']}
    return evaluate


def measure_clips(study, evaluate):
    """{name: measures} of clips themselves, as many as a run has samples: golden ones of another seed, and the library's by quadrant.

    Raises UserError where the library has fewer than two clips of a quadrant.
    """
    count, clips = study.size.samples, study.clips
    parts = {name: clips.take(np.flatnonzero(getattr(clips, name))[:count]) for name in QUADRANTS}
    few = [f'{len(own)} {name}' for name, own in parts.items() if len(own) < 2]
    if few:
        raise UserError(f'the library has {" and ".join(few)} of {len(clips)} clips: give this size more (config.sizes.NAME.clips)')
    groups = {'true golden clips': study.held_out, **{f'library, {name}': own for name, own in parts.items()},
              'library, all': clips.take(np.arange(min(count, len(clips))))}
    return {name: finite(evaluate(own.frames[:count], own)) for name, own in groups.items()}


def start_loss(study):
    """Loss on golden clips by noise bin before any step: that of the best linear guess of patches, as the network adds nothing yet."""
    runs = study.runs([0] * len(study.devices), ['start'] * len(study.devices))
    return golden_loss(study, study.trainer.init(runs.seed))[0].tolist()


def describe_library(clips):
    """The shares of the library's quadrants, and the correlation of motion and visual quality."""
    shares = {name: float(np.mean(getattr(clips, name))) for name in QUADRANTS}
    return {'library': shares, 'correlation': float(np.corrcoef(clips.mq, clips.vq)[0, 1])}
