"""The embedded clip library: rendered scenes, degraded by a known amount and written as real video files with a manifest of the truth."""
import io
import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tqd_jax.clips import scenes
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import AnyPath, make_folder, path_of, remove_folder
from transfer_jax.runtime.progress import Progress

VERSION = 4  # of the files and the manifest: raise it, and old folders are rendered anew
DEGRADATIONS = ('blur', 'noise', 'bitrate', 'resolution')
SEVERITY = {True: (0.0, 0.2), False: (0.4, 1.0)}  # of good visual quality, of poor
FINE = 12  # x264's constant rate factor where the bit rate is not what degrades


def render_library(folder, *, clips: int = 240, seed: int = 0, size: int = 64, fps: int = 12, seconds: float = 2.0) -> AnyPath:
    """Writes `clips` mp4 files and returns the path of their manifest.parquet, a row a clip, paths relative to the folder.

    Columns: clip, caption, kind, degradation, severity in [0, 1], true_motion (frame diagonals a second), true_visual (mean SSIM of the
    decoded file against the undegraded scene). Clip i depends on `seed`, i and the format only. A folder that is already rendered with
    these settings is left alone, one that was interrupted is completed, one with other settings is rendered anew. Raises ValueError for
    impossible settings, UserError where the folder holds something else, and OSError with the path where a file cannot be written.
    """
    settings = {'version': VERSION, 'clips': clips, 'seed': seed, 'size': size, 'fps': fps, 'seconds': seconds}
    if clips < 1 or size < 16 or size % 2 or round(seconds * fps) < 2 or seed < 0:
        raise ValueError(f'no library has {settings}: at least 1 clip, an even size from 16, 2 frames and a seed from 0')
    folder = path_of(folder)
    manifest = folder / 'manifest.parquet'
    if not (_claim(folder, settings) and manifest.exists()):
        rows = _clips(folder, settings)
        buffer = io.BytesIO()
        pa.parquet.write_table(pa.Table.from_pylist(rows), buffer)
        write_atomically(manifest, buffer.getvalue())
    return manifest


def _claim(folder, settings):
    """Whether the folder belongs to a library of these settings; if not, it is made to, and has no clips."""
    path, clips = folder / 'library.json', folder / 'clips'
    started = path.exists() and json.loads(path.read_text()) == settings
    if not started:
        if path.exists():
            (folder / 'manifest.parquet').unlink(missing_ok=True)
            remove_folder(clips)
        elif folder.exists() and any(not old.name.startswith('.') for old in folder.iterdir()):
            raise UserError(f'{folder} holds something, but no rendered library; name another folder for the clips')
        make_folder(folder)
        write_atomically(path, json.dumps(settings).encode())
    make_folder(clips)
    return started


def _clips(folder, settings):
    rows = []
    with Progress(settings['clips'], label='render', unit='clip') as progress:
        for index in range(settings['clips']):
            rows.append(_clip(folder, index, settings))
            progress.update()
    return rows


def _clip(folder, index, settings):
    """Writes one clip unless it is there (files are whole or absent), and returns its row."""
    seed, count = settings['seed'], round(settings['seconds'] * settings['fps'])
    scene = scenes.scene(seed, index)
    pristine = scenes.render(scene, size=settings['size'], fps=settings['fps'], count=count)
    degradation, severity = draw_degradation(seed, index, good=scene.kind in ('golden', 'visual'))
    path = folder / 'clips' / f'{index:04d}.mp4'
    if not path.exists():
        frames, crf = degrade(pristine, degradation, severity, np.random.default_rng([seed, 3, index]))
        write_clip(path, frames, settings['fps'], crf=crf)
    decoded = read_clip(str(path), rate=settings['fps']).frames
    return {'clip': f'clips/{path.name}', 'caption': scene.caption, 'kind': scene.kind, 'degradation': degradation, 'severity': severity,
            'true_motion': scene.motion, 'true_visual': ssim(pristine, decoded)}


def draw_degradation(seed, index, *, good):
    """(name, severity) of clip `index`: a small severity for a clip of good visual quality, never quite none."""
    rng = np.random.default_rng([seed, 2, index])
    return str(rng.choice(DEGRADATIONS)), float(rng.uniform(*SEVERITY[good]))


def degrade(frames, degradation, severity, rng):
    """(degraded frames uint8 [F, H, W, 3], crf to encode them with): a low bit rate is the encoder's doing, the others the frames'.

    severity: in [0, 1], from nothing to the worst at which the object is still recognised. rng: the noise's. Raises ValueError.
    """
    if degradation not in DEGRADATIONS or not 0 <= severity <= 1:
        raise ValueError(f'{degradation} at severity {severity}: it must be one of {", ".join(DEGRADATIONS)} at 0 to 1')
    height, width = frames.shape[1:3]
    if degradation == 'bitrate':
        return frames, round(18 + 28 * severity**0.5)
    if degradation == 'noise':
        noisy = frames + np.float32(45 * severity) * rng.standard_normal(frames.shape, np.float32)
        return np.clip(noisy.round(), 0, 255).astype(np.uint8), FINE
    if degradation == 'blur':
        sigma = (0.3 + 2.2 * severity) * width / 64
        return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames]), FINE
    small = (round(width / (1 + 3 * severity)), round(height / (1 + 3 * severity)))
    shrunk = (cv2.resize(frame, small, interpolation=cv2.INTER_AREA) for frame in frames)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in shrunk]), FINE


def ssim(first, second):
    """Mean SSIM of the luma of two clips uint8 [F, H, W, 3], in [-1, 1] (Wang et al. 2004: Gaussian window of 11, sigma 1.5)."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)[5:-5, 5:-5]
    x, y = (_luma(clip) for clip in (first, second))
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return float(np.mean((2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))


def _luma(clip):
    """[H, W, F]: one image with a channel a frame, which OpenCV filters in one call."""
    return np.moveaxis(clip.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32), 0, -1).copy()
