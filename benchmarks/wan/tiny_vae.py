"""How well the package's small autoencoder reconstructs clips: rendered ones that it never saw, by quality, and real ones.

    python -m benchmarks.wan.tiny_vae [--vae tqd_jax/assets/tiny_wan/vae] [--clips 256] [--seeds 0 3] [--real ../shared/data/clips]

PSNR of a clip: 10 log10(255^2 / mean squared error over all its bytes), of 17 frames of 64 x 64 at 12 a second. Real clips are shrunk to 64
rows or columns, whichever are fewer, and their middle is taken; a file that cannot be read so is named.
"""
import argparse
import functools
import pathlib
import tempfile

import jax
import numpy as np
import pyarrow.parquet

from benchmarks.timing import write_page
from tqd_jax.clips import scenes
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.render import render_library
from tqd_jax.latents.wan_vae.codec import read_codec
from tqd_jax.pretrain_vae.clips import FPS

ROOT = pathlib.Path(__file__).parents[2]
FRAMES, SIDE = 17, 64
HEADER = ['| clips | number | PSNR dB, mean (standard deviation) | lowest | share at 32 dB |', '|---|---|---|---|---|']


def psnr(one, other):
    """dB of clips uint8 [N, F, H, W, 3] against others, [N]."""
    error = np.square(one.astype(np.float32) - other).mean(axis=(1, 2, 3, 4), dtype=np.float64)
    return 10 * np.log10(255**2 / np.maximum(error, 1e-3))


def reconstructor(path):
    """clips uint8 [N, F, H, W, 3] -> (their reconstruction, their latents), 16 at a time, by the codec of a folder."""
    codec = read_codec(path, chunk=None)
    params = codec.load(path)
    encode, decode = jax.jit(codec.encode), jax.jit(codec.decode)

    def reconstruct(clips):
        latents = [np.asarray(encode(params, clips[i:i + 16])) for i in range(0, len(clips), 16)]
        return np.concatenate([np.asarray(decode(params, some)) for some in latents]), np.concatenate(latents)
    return reconstruct


def rendered(seed, count):
    """(frames as in the files, frames before any degradation, rows of the manifest) of a library of `seed`."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = render_library(folder, clips=count, seed=seed, fps=FPS)
        rows = pyarrow.parquet.read_table(manifest).to_pylist()
        clips = np.stack([read_clip(str(manifest.parent / row['clip']), rate=FPS).frames[:FRAMES] for row in rows])
    pristine = np.stack([scenes.render(scenes.scene(seed, i), size=SIDE, fps=FPS, count=FRAMES) for i in range(count)])
    return clips, pristine, rows


def real(folder):
    """({name: uint8 [1, F, H, W, 3]}, names of files that give no such clip)."""
    found, refused = {}, []
    for path in sorted(pathlib.Path(folder).iterdir()):
        try:
            frames = read_clip(str(path), rate=FPS, seconds=(FRAMES + 0.5) / FPS, short_side=SIDE).frames[:FRAMES]
        except BadClip:
            frames = np.zeros((0, 0, 0, 3), np.uint8)
        top, left = (frames.shape[1] - SIDE) // 2, (frames.shape[2] - SIDE) // 2
        if len(frames) == FRAMES and min(top, left) >= 0:
            found[path.name] = frames[None, :, top:top + SIDE, left:left + SIDE]
        else:
            refused.append(path.name)
    return found, refused


def line(name, values):
    """A row of the table."""
    return (f'| {name} | {len(values)} | {values.mean():.1f} ({values.std(ddof=1):.1f}) | {values.min():.1f} '
            f'| {100 * (values >= 32).mean():.0f} % |')


def rendered_lines(reconstruct, seeds, count):
    """Lines of the page about rendered clips."""
    clips, pristine, rows = (functools.reduce(lambda a, b: [*a, *b], parts) for parts in
                             zip(*(rendered(seed, count) for seed in seeds), strict=True))
    clips, pristine = np.stack(clips), np.stack(pristine)
    outputs, latents = reconstruct(clips)
    values, level, clean = psnr(outputs, clips), psnr(pristine, clips), psnr(outputs, pristine)
    column = lambda name: np.array([row[name] for row in rows])
    kinds, noise = column('kind'), column('degradation') == 'noise'
    yield from [*HEADER, line('all', values), line('all but noise', values[~noise])]
    yield from (line(f'{kind}', values[kinds == kind]) for kind in scenes.KINDS)
    yield from (line(f'{kind}, but noise', values[(kinds == kind) & ~noise]) for kind in scenes.KINDS)
    loud = noise & np.isin(kinds, ('poor', 'motion'))
    yield line('noise, poor visual quality', values[loud])
    yield from ['', f'Clips with loud noise: the scene before the noise is {level[loud].mean():.1f} dB from the file, and no autoencoder '
                    f'that leaves the noise out comes nearer. The reconstruction is {clean[loud].mean():.1f} dB from that scene.', '']
    mean, deviation = latents.mean(axis=(0, 1, 2, 3)), latents.std(axis=(0, 1, 2, 3))
    yield (f'Normalised latents, channel by channel: mean {mean.min():.2f} to {mean.max():.2f}, '
           f'standard deviation {deviation.min():.2f} to {deviation.max():.2f}.')


def real_lines(reconstruct, folder):
    """Lines of the page about real clips."""
    clips, refused = real(folder)
    values = {name: psnr(reconstruct(clip)[0], clip)[0] for name, clip in clips.items()}
    yield from ['| clip | PSNR dB |', '|---|---|', *(f'| {name} | {value:.1f} |' for name, value in values.items())]
    every = np.array([*values.values()])
    yield from ['', f'Mean {every.mean():.1f} dB, standard deviation {every.std(ddof=1):.1f}, of {len(every)} clips.']
    if refused:
        yield f'Too short or narrow, or refused by the reader: {", ".join(refused)}.'


def main():
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--vae', default=str(ROOT / 'tqd_jax/assets/tiny_wan/vae'))
    parser.add_argument('--clips', type=int, default=256, help='rendered clips of each seed')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 3], help='of libraries that the training did not see')
    parser.add_argument('--real', default=str(ROOT / '../shared/data/clips'), help='a folder of videos; left out where there is none')
    args = parser.parse_args()
    reconstruct = reconstructor(args.vae)
    bytes_ = sum(file.stat().st_size for file in pathlib.Path(args.vae).iterdir())
    lines = [f'{bytes_ / 1e6:.2f} MB with its log and settings. Aim: 32 dB on rendered clips of other seeds than the training\'s.', '',
             '## Rendered clips', '', 'As decoded from their files; kinds are motion and visual quality, golden: both good.', '',
             *rendered_lines(reconstruct, args.seeds, args.clips)]
    if pathlib.Path(args.real).is_dir():
        lines += ['', '## Real clips', '', 'Nothing of the kind was in the training.', '', *real_lines(reconstruct, args.real)]
    write_page('tiny_vae', 'The small autoencoder of the package', lines)


if __name__ == '__main__':
    main()
