"""Every hostile file ends as a row or as a reason on one line: finite, soon, silently, in little memory."""
import json
import math
import os
import pathlib
import resource
import time

import hostile
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tqd_jax.clips import display
from tqd_jax.clips import read as video
from tqd_jax.clips.manifest import read_clips
from tqd_jax.clips.places import ENDINGS, BadClip
from tqd_jax.scoring.row import measured_row

SECONDS = 15.0  # that one file may take on a busy machine; alone, none takes two
MEMORY = 1 << 20  # KiB


@pytest.fixture(scope='module')
def zoo(tmp_path_factory):
    """{name: (path, whether it must be scored)}."""
    return {os.path.basename(path): (path, scored) for path, scored in hostile.write_hostile(tmp_path_factory.mktemp('zoo')).items()}


@pytest.mark.parametrize('name', hostile.FILES, ids=ascii)
def test_a_hostile_file_is_a_row_or_has_a_reason(zoo, capfd, name):
    path, scored = zoo[name]
    capfd.readouterr()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    row = measured_row(path)
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert ''.join(capfd.readouterr()) == ''  # libav would like to say a lot
    assert ('reason' not in row) == scored, row.get('reason')
    assert '\n' not in row.get('reason', '')
    assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))


def test_all_of_them_are_found_and_written_and_found_again(zoo, tmp_path):
    folder = os.path.dirname(next(path for path, _ in zoo.values()))
    table = read_clips(folder)
    expected = [name for name in zoo if name.lower().endswith(ENDINGS) and name != 'folder.mp4']
    assert len(table) == len(expected)
    pa.parquet.write_table(table, tmp_path / 'clips.parquet')
    again = read_clips(str(tmp_path / 'clips.parquet'))
    assert again['clip'].equals(table['clip'])
    odd = [clip for clip in again['clip'].to_pylist() if clip.startswith('file://')]
    assert len(odd) == 1 and 'reason' not in measured_row(odd[0])


@pytest.mark.parametrize('kind', ['mp4', 'matroska', 'avi', 'mpegts', 'gif'])
def test_broken_bytes_anywhere_are_a_bad_clip_at_worst(tmp_path, kind):
    codec = {'gif': ('gif', 'rgb8'), 'avi': ('mjpeg', 'yuvj420p')}.get(kind, ('libx264', 'yuv420p'))
    data, path = hostile.encoded(hostile.textured(6), kind, *codec), tmp_path / 'clip'
    rng, read = np.random.default_rng(0), 0
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, rng.choice([200, len(data)]), 4):  # half of them in the headers
            broken[place:place + 4] = bytes([rng.choice([0, 255, rng.integers(256)])] * len(broken[place:place + 4]))
        path.write_bytes(broken)
        try:
            clip = video.read_clip(path, rate=12, seconds=12)
        except BadClip:
            continue
        read += 1
        assert clip.fps > 0 and clip.duration > 0 and math.isfinite(clip.fps * clip.duration) and (np.diff(clip.times) >= 0).all()
    assert 0 < read < 60


@pytest.mark.parametrize('happens', ['vanishes', 'is cut', 'grows'])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, happens):
    path, opening = tmp_path / 'clip.mkv', display._opening
    path.write_bytes(hostile.encoded(np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8), 'matroska'))
    change = {'vanishes': pathlib.Path.unlink, 'is cut': lambda path: os.truncate(path, 50_000),
              'grows': lambda path: path.write_bytes(path.read_bytes() + bytes(1000))}[happens]
    monkeypatch.setattr(display, '_opening', lambda *arguments: (opening(*arguments), path.exists() and change(path))[0])
    row = measured_row(str(path))  # opens it for its size, and again for its frames
    assert json.dumps(row) and ('reason' not in row) == (happens == 'grows')
