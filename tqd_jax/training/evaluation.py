"""Where training helps: validation loss by noise bin and quality quadrant; motion and visual quality of samples and data."""
import dataclasses

import numpy as np

from tqd_jax.data.batch import Batch
from tqd_jax.data.streams import hashed_uniform
from tqd_jax.scoring.motion.motion import motion
from tqd_jax.scoring.visual.visual import visual
from tqd_jax.timesteps.quadrants import QUADRANTS, quadrant
from transfer_jax.runtime.parallel.stops import check_stop

NOISE_BINS = 10
PLACE_SALT, NOISE_SALT = 2**33, 2**33 + 1  # of the hashes of a clip's content


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationBatch:
    """One fixed Batch, this process's rows of it, with its bucket's index.

    quadrant: int [B]. place: of this process's rows, in [0, 1), the place of t in every noise bin. real: bool [B], False for padding.
    """
    bucket: int
    batch: Batch
    quadrant: np.ndarray
    place: np.ndarray
    real: np.ndarray


def validation_batches(library, loader, rows):
    """Fixed batches of the rows: the middle of every clip, noise and timesteps that depend on the clip alone."""
    loader, batches = dataclasses.replace(loader, crop='center'), []
    uniform = lambda salt, clips: hashed_uniform(loader.seed, salt, library.ids[clips[loader.rows]])
    for bucket in np.unique(library.bucket[rows]):
        mine = rows[library.bucket[rows] == bucket]
        for number, start in enumerate(range(0, len(mine), loader.batch)):
            clips = np.resize(mine[start:start + loader.batch], loader.batch)
            real = np.arange(loader.batch) < len(mine) - start
            noise = (uniform(NOISE_SALT, clips) * 2**32).astype(np.uint32)  # the key of its noise
            batches.append(ValidationBatch(
                bucket=int(bucket), batch=dataclasses.replace(loader(number, clips), example=noise), real=real,
                quadrant=quadrant(library.mq[clips], library.vq[clips]), place=uniform(PLACE_SALT, clips)))
    return batches


def loss_table(evaluate, weights, batches, t_range=(0.0, 1.0)):
    """Mean loss and number of clips, float64 [4, NOISE_BINS] by (quadrant, noise bin); NaN where a quadrant is empty.

    evaluate(bucket, weights, batch, t) -> loss [B], batch and t of this process's rows. Every clip counts once in every noise bin that
    t_range, the model's part of t, meets; the others are empty. Raises Stopped where a stop is requested between two evaluations.
    """
    total, count = np.zeros((4, NOISE_BINS)), np.zeros((4, NOISE_BINS))
    for batch in batches:
        for j in range(NOISE_BINS):
            t = times_in_bin(j, batch.place, t_range)
            if t is None:
                continue
            check_stop()
            loss = np.asarray(evaluate(batch.bucket, weights, batch.batch, t), np.float64)
            np.add.at(total[:, j], batch.quadrant[batch.real], loss[batch.real])
            np.add.at(count[:, j], batch.quadrant[batch.real], 1)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), count


def times_in_bin(j, place, t_range):
    """t float32 [B] at `place` [B] in [0, 1) of what noise bin j has of the range (low, high), or None where it has nothing of it."""
    low, high = max(j, t_range[0] * NOISE_BINS), min(j + 1, t_range[1] * NOISE_BINS)
    return ((low + place * (high - low)) / NOISE_BINS).astype(np.float32) if low < high else None


def loss_scalars(loss, count):
    """The table's margins as named scalars: val/loss (every clip the same weight), val/golden ..., val/t0.0 ..."""
    mean = lambda values, weights: float(np.sum(np.where(weights > 0, values, 0) * weights) / max(1.0, weights.sum()))
    scalars = {'val/loss': mean(loss, count)}
    scalars |= {f'val/{name}': mean(loss[q], count[q]) for q, name in enumerate(QUADRANTS) if count[q].any()}
    return scalars | {f'val/t{j / NOISE_BINS:.1f}': mean(loss[:, j], count[:, j]) for j in range(NOISE_BINS) if count[:, j].any()}


def loss_record(step, loss, count):
    """The table of a step for JSON: {'step', 'loss', 'count'}; NaN (an empty quadrant) becomes null."""
    return {'step': step, 'loss': [[None if np.isnan(x) else x for x in row] for row in loss.tolist()], 'count': count.tolist()}


def motion_and_visual(clips, fps):
    """The scorers' motion and visual quality of clips, each uint8 [F, H, W, 3]: {'motion': [B], 'visual': [B]} as lists of floats."""
    return {'motion': [float(motion(frames, np.arange(len(frames)) / fps)['motion']) for frames in clips],
            'visual': [float(visual(frames)['visual']) for frames in clips]}
