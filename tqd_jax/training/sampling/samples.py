"""Clips from a trained model: mp4 files, a contact sheet, and their motion and visual quality beside the data's."""
import dataclasses
import json

import cv2
import numpy as np

from tqd_jax.clips.write import write_clip
from tqd_jax.training.evaluation import motion_and_visual
from tqd_jax.training.sampling.generate import decode, generate, generate_latents, main_bucket, sample_captions
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.paths import make_folder

VISIBLE = 160  # pixels: smaller clips are enlarged in the files that people look at


def draw_samples(run, trained, frozen):
    """Draws config.sample.clips clips; writes samples/NN.mp4, samples/data/NN.mp4, samples/sheet.png, samples/data.png and samples.json.

    Row i of sheet.png is clip i, row i of data.png, and clip i of data/, a validation clip (one of training where those run out), frames
    from left to right.
    """
    latents, captions = generate_latents(run, trained, frozen)
    frames, real = _decoded(run, latents, _real_clips(run))
    fps = run.config.data.fps
    record = {'captions': captions, 'settings': settings_of(run.config), 'samples': motion_and_visual(frames, fps),
              'data': motion_and_visual(real, fps)}
    first_host(_write, run.folder, frames, real, fps, record)
    return record


def _write(workdir, frames, real, fps, record):
    folder = workdir / 'samples'
    write_videos(folder, frames, fps)
    write_videos(folder / 'data', real, fps)
    for name, clips in (('sheet', frames), ('data', real)):  # encoded here: imwrite does not report a full disk
        write_atomically(folder / f'{name}.png', cv2.imencode('.png', contact_sheet(clips)[..., ::-1])[1].tobytes())
    write_atomically(workdir / 'samples.json', json.dumps(record).encode())


def settings_of(config):
    """What samples of the same weights and captions depend on, as JSON has it."""
    return {name: value for name, value in to_json(config.sample).items() if name not in ('every', 'batch', 'captions')}


def are_drawn(run):
    """Whether the folder has samples with the captions and settings of the run's config; of which step, the caller knows."""
    path = run.folder / 'samples.json'
    record = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    return record.get('settings') == settings_of(run.config) and record['captions'] == sample_captions(run)


def draw_during_training(run, step, trained, frozen):
    """Draws the same clips, from the same noise, at a step of the training: samples/step-NNNNNN/NN.mp4."""
    frames, _ = generate(run, trained, frozen)
    first_host(write_videos, samples_folder(run.folder, step), frames, run.config.data.fps)


def samples_folder(workdir, step):
    """The folder of the clips that are drawn at a step of the training."""
    return workdir / 'samples' / f'step-{step:06d}'


def write_videos(folder, clips, fps):
    """Writes NN.mp4 of every clip, and removes those of an earlier, larger set."""
    make_folder(folder)
    paths = [folder / f'{number:02d}.mp4' for number in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        write_clip(path, _enlarged(clip), fps, pix_fmt='yuv420p')
    for old in {*folder.glob('*.mp4')} - {*paths}:
        old.unlink()


def contact_sheet(clips, gap=2):
    """One picture of clips, each uint8 [F, H, W, 3]: a row a clip, a column a frame, white gaps; small frames are enlarged, and shorter or
    smaller clips padded with white."""
    framed = [np.pad(_enlarged(clip), ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=255) for clip in clips]
    size = np.max([clip.shape for clip in framed], axis=0)
    fill = lambda clip: np.pad(clip, [(0, most - n) for most, n in zip(size, clip.shape, strict=True)], constant_values=255)
    framed = np.stack([fill(clip) for clip in framed])
    n, f, h, w, c = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(n * h, f * w, c)


def _decoded(run, latents, real):
    """Frames of the latents, and of the real clips where those are latents too; the decoder is loaded once."""
    if not run.foundation.latents:
        return decode(run, latents), real
    frames = decode(run, [*latents, *real])
    return frames[:len(latents)], frames[len(latents):]


def _real_clips(run):
    """Clips as the loader's batches hold them: frames, or latents."""
    # what validation lacks to a batch is taken from training
    clips = np.concatenate([run.validation, np.setdiff1d(run.training, run.validation)])
    rows = clips[run.library.bucket[clips] == main_bucket(run)]
    count = max(8, run.config.sample.clips)
    if run.foundation.latents:  # a clip at a time: the batch may be small, and the files of the clips elsewhere
        return [run.loader.whole(rows[i:i + 1]).video[0] for i in range(min(count, len(rows)))]
    all_rows = dataclasses.replace(run.loader, part=None)  # of every process
    return all_rows(0, np.resize(rows, run.loader.batch)).video[:count]


def _enlarged(clip):
    factor = max(1, round(VISIBLE / max(clip.shape[1:3])))
    clip = clip.repeat(factor, axis=1).repeat(factor, axis=2)
    return clip[:, :clip.shape[1] // 2 * 2, :clip.shape[2] // 2 * 2]  # H.264 halves the colour and wants even sizes
