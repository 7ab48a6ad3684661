"""Copies of a clip whose scores must fall, rise or stay, for benchmarks.scoring to compare."""
import av
import cv2
import numpy as np

from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip

LARGEST = 720  # short side, in pixels, of the clips as compared
FINE, USUAL = 10, 18  # constant rate factors: hardly any loss, and what people upload


def resize(frames, size, method=cv2.INTER_AREA):
    return np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])


def half(frames):
    return resize(frames, (frames.shape[2] // 2, frames.shape[1] // 2))


def blur(frames, sigma):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def add_noise(frames, sigma):
    noise = (sigma * np.random.default_rng(0).standard_normal(frame.shape, np.float32) for frame in frames)
    return np.stack([np.clip(frame + grain, 0, 255).round().astype(np.uint8) for frame, grain in zip(frames, noise, strict=True)])


def posterise(frames, step):
    return frames // step * step + step // 2


def middle(frames):
    """The first frame's middle half, held."""
    height, width = (side // 4 for side in frames.shape[1:3])
    return np.repeat(frames[:1, height:3 * height, width:3 * width], len(frames), 0)


def upscale(frames, factor):
    height, width = frames.shape[1:3]
    return resize(resize(frames, (round(width / factor), round(height / factor))), (width, height), cv2.INTER_CUBIC)


# name: (frames and frames a second -> the copy's, its constant rate factor)
SLOWER = {
    'frozen': (lambda x, fps: (np.repeat(x[:1], len(x), 0), fps), USUAL),
    'a still, cropped': (lambda x, fps: (middle(x), fps), USUAL),
    'half speed': (lambda x, fps: (x, fps / 2), USUAL),
    'half speed, frames doubled': (lambda x, fps: (np.repeat(x, 2, 0), fps), USUAL),
}
FASTER = {
    'double speed': (lambda x, fps: (x, 2 * fps), USUAL),
    'double speed, every second frame': (lambda x, fps: (x[::2], fps), USUAL),
}
POORER = {
    'blur, sigma 1': (lambda x, fps: (blur(x, 1), fps), USUAL),
    'blur, sigma 2': (lambda x, fps: (blur(x, 2), fps), USUAL),
    'noise, sigma 8': (lambda x, fps: (add_noise(x, 8), fps), USUAL),
    'noise, sigma 25': (lambda x, fps: (add_noise(x, 25), fps), USUAL),
    'low bit rate, crf 38': (lambda x, fps: (x, fps), 38),
    'low bit rate, crf 45': (lambda x, fps: (x, fps), 45),
    'down and up, factor 2': (lambda x, fps: (upscale(x, 2), fps), USUAL),
    'down and up, factor 3': (lambda x, fps: (upscale(x, 3), fps), USUAL),
    'down and up, factor 4': (lambda x, fps: (upscale(x, 4), fps), USUAL),
    'banding, 8 levels a step': (lambda x, fps: (posterise(x, 8), fps), USUAL),
    'banding, 16 levels a step': (lambda x, fps: (posterise(x, 16), fps), USUAL),
}
SAME = {
    'encoded again': (lambda x, fps: (x, fps), 12),
    'every second frame': (lambda x, fps: (x[::2], fps / 2), FINE),
    'half the size': (lambda x, fps: (half(x), fps), FINE),
}
REMUXED = 'another container'


def make_copies(job):
    """Writes the copies of one clip into a folder of its own, beside the clip as compared; returns whether the clip is usable.

    job: (path, folder, seconds). Files of an earlier run stay.
    """
    path, folder, seconds = job
    try:
        clip = read_clip(path, rate=1000, seconds=0.001, short_side=LARGEST)
        clip = read_clip(path, rate=clip.fps, seconds=seconds, short_side=LARGEST)
    except BadClip:
        return False
    frames = clip.frames[:, :clip.frames.shape[1] // 4 * 4, :clip.frames.shape[2] // 4 * 4]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / 'clip.mp4').exists():
        write_clip(folder / 'clip.mp4', frames, clip.fps, crf=FINE)
    remux(folder / 'clip.mp4', folder / f'{REMUXED}.mkv')
    for name, (change, crf) in (SLOWER | FASTER | POORER | SAME).items():
        if not (folder / f'{name}.mp4').exists():  # written whole or not at all
            write_clip(folder / f'{name}.mp4', *change(frames, clip.fps), crf=crf)
    return True


def remux(source, target):
    """Copies the video stream of a file into another container."""
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
