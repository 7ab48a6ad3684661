"""Clips from a trained model: mp4 files, a contact sheet, and their motion and visual quality beside the data's."""
import functools
import json

import cv2
import jax
import numpy as np

from tqd_jax.clips.write import write_clip
from tqd_jax.diffusion.sampler import Sampling, sample
from tqd_jax.training.evaluation import motion_and_visual
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.keys import example_keys
from transfer_jax.runtime.parallel.mesh import replicated

VISIBLE = 160  # pixels: smaller clips are enlarged in the files that people look at


def draw_samples(run, trained, frozen):
    """Draws config.sample.clips clips and writes samples/NN.mp4, samples/sheet.png, samples/data.png and samples.json to the run's folder.

    Row i of sheet.png is clip i, row i of data.png a validation clip (one of training where those run out), frames from left to right.
    """
    frames, captions = generate(run, trained, frozen)
    real, fps = _real_clips(run), run.config.data.fps
    record = {'captions': captions, 'samples': motion_and_visual(frames, fps), 'data': motion_and_visual(real, fps)}
    if jax.process_index() == 0:
        _write(run, frames, real, record)
    return record


def _write(run, frames, real, record):
    folder = run.workdir / 'samples'
    folder.mkdir(exist_ok=True)
    paths = [folder / f'{number:02d}.mp4' for number in range(len(frames))]
    for path, clip in zip(paths, frames, strict=True):
        write_clip(path, _enlarged(clip), run.config.data.fps, pix_fmt='yuv420p')
    for old in {*folder.glob('*.mp4')} - {*paths}:  # of an earlier, larger set
        old.unlink()
    for name, clips in (('sheet', frames), ('data', real)):  # encoded here: imwrite does not report a full disk
        write_atomically(folder / f'{name}.png', cv2.imencode('.png', contact_sheet(clips)[..., ::-1])[1].tobytes())
    write_atomically(run.workdir / 'samples.json', json.dumps(record).encode())


def generate(run, trained, frozen):
    """Frames uint8 [N, F, H, W, 3] and their captions [N]: config.sample.captions in turn, or those of validation clips."""
    settings, bucket = run.config.sample, run.library.buckets[_bucket(run)]
    choice = list(settings.captions or run.library.captions[run.validation])
    captions = [str(choice[i % len(choice)]) for i in range(settings.clips)]
    text = run.objective.text.prepare(captions)
    keys = example_keys(run.config.seed, 'sample', 0, np.arange(settings.clips, dtype=np.uint32))
    sampling = Sampling(steps=settings.steps, solver=settings.solver, guidance=settings.guidance, shift=settings.shift)
    draw = functools.partial(sample, run.objective, shape=run.objective.codec.latent_shape(bucket.frames, bucket.height, bucket.width),
                             settings=sampling)
    return np.asarray(jax.jit(draw, out_shardings=replicated(run.mesh))(trained, frozen, keys, text)), captions


def contact_sheet(clips, gap=2):
    """One picture of clips [N, F, H, W, 3]: a row a clip, a column a frame, white gaps; small frames enlarged."""
    framed = np.pad(np.stack([_enlarged(clip) for clip in clips]), ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=255)
    n, f, h, w, c = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(n * h, f * w, c)


def _bucket(run):
    """The number of the bucket that most clips are of."""
    return np.bincount(run.library.bucket).argmax()


def _real_clips(run):
    # what validation lacks to a batch is taken from training
    clips = np.concatenate([run.validation, np.setdiff1d(run.training, run.validation)])
    rows = clips[run.library.bucket[clips] == _bucket(run)]
    return run.loader(0, np.resize(rows, run.loader.batch)).video[:max(8, run.config.sample.clips)]


def _enlarged(clip):
    factor = max(1, round(VISIBLE / max(clip.shape[1:3])))
    clip = clip.repeat(factor, axis=1).repeat(factor, axis=2)
    return clip[:, :clip.shape[1] // 2 * 2, :clip.shape[2] // 2 * 2]  # H.264 halves the colour and wants even sizes
