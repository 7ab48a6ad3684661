"""Video files are written whole or not at all, and come back as they were."""
import io
import os
import resource

import av
import numpy as np
import pytest
from hostile import textured

from tqd_jax.clips import read as video
from tqd_jax.clips.write import webm, write_clip


def test_written_clips_come_back(tmp_path):
    path, frames = tmp_path / 'clip.mp4', textured(size=(96, 128))[..., :1].repeat(3, -1)  # grey: yuv420p halves the colour
    write_clip(path, frames, 12)
    clip = video.read_clip(path, rate=12)
    assert clip.fps == pytest.approx(12) and clip.duration == pytest.approx(1)
    error = np.square(clip.frames.astype(float) - frames).mean()
    assert error < 25  # 34 dB
    first = path.read_bytes()
    write_clip(path, frames, 12)
    assert path.read_bytes() == first
    write_clip(path, frames, 12, crf=45)
    assert len(path.read_bytes()) < len(first) / 3
    assert os.listdir(tmp_path) == ['clip.mp4']


def test_webm_comes_back_in_its_colours_and_its_bytes_are_the_same(tmp_path):
    frames = np.kron(textured(size=(24, 32)), np.ones((1, 4, 4, 1), np.uint8))  # colours of four pixels each
    data = webm(frames, 12)
    (tmp_path / 'clip.webm').write_bytes(data)
    clip = video.read_clip(tmp_path / 'clip.webm', rate=12)
    assert clip.fps == pytest.approx(12, rel=1e-3) and clip.frames.shape == frames.shape  # its times are in ms
    error = np.square(clip.frames.astype(float) - frames).mean()
    assert error < 65  # 30 dB
    assert np.abs(clip.frames.mean((0, 1, 2)) - frames.mean((0, 1, 2))).max() < 2, 'the matrix of colours is another'
    assert data == webm(frames, 12) and len(webm(frames, 12, crf=55)) < len(data)
    with av.open(io.BytesIO(data)) as file:
        assert file.streams.video[0].codec_context.name == 'vp9' and file.format.name == 'matroska,webm'
    with pytest.raises(ValueError, match='even width and height, not 63x47'):
        webm(textured(size=(47, 63)), 12)


def test_odd_sizes_need_whole_colour(tmp_path):
    with pytest.raises(ValueError, match='even width and height, not 63x47'):
        write_clip(tmp_path / 'clip.mp4', textured(size=(47, 63)), 12)
    write_clip(tmp_path / 'clip.mp4', textured(size=(47, 63)), 12, pix_fmt='yuv444p')
    assert video.read_clip(tmp_path / 'clip.mp4', rate=12).frames.shape == (12, 47, 63, 3)
    with pytest.raises(ValueError, match='uint8'):
        write_clip(tmp_path / 'clip.mp4', np.zeros((2, 8, 8, 3)), 12)


def test_a_full_disk_names_the_path_and_leaves_the_old_file(tmp_path):
    path = tmp_path / 'clip.mp4'
    path.write_bytes(b'old')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # writes past 1000 bytes now fail, as on a full disk
    try:
        with pytest.raises(OSError, match=r'clip\.mp4'):
            write_clip(path, textured(), 12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ['clip.mp4'] and path.read_bytes() == b'old'
