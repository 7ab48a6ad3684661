"""Clips that come as pictures: folders and patterns of numbered files, animations, and streams of frames without a container."""
import fractions
import os
import pathlib
import shutil
import zipfile

import av
import cv2
import fsspec
import numpy as np
import pytest

from tqd_jax.clips import places
from tqd_jax.clips.archives.frames import RATE, series_of
from tqd_jax.clips.container import Limits
from tqd_jax.clips.display import probe
from tqd_jax.clips.manifest import read_clips
from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.row import measured_row
from transfer_jax.runtime.errors import UserError

COUNT, SIZE = 30, (64, 96)


def frames(count=COUNT):
    """uint8 [count, 64, 96, 3]: a square that moves 2 pixels a frame over a smooth texture."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (*SIZE, 3)).astype(np.float32), (0, 0), 3).astype(np.uint8)
    films = np.stack([ground] * count)
    for i, film in enumerate(films):
        film[20:44, 2 * i:2 * i + 24] = 240, 30, 30
    return films


def write_series(folder, ending, name='{:05d}', step=1, count=COUNT):
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames(count)):
        cv2.imwrite(str(folder / f'{name.format(i * step)}{ending}'), frame[..., ::-1])
    return str(folder)


def animation(path, milliseconds=40, count=COUNT):
    film = cv2.Animation()
    film.frames = [np.ascontiguousarray(np.dstack([frame[..., ::-1], np.full(SIZE, 255, np.uint8)])) for frame in frames(count)]
    film.durations = [milliseconds] * count
    assert cv2.imwriteanimation(str(path), film, [cv2.IMWRITE_WEBP_QUALITY, 101] if str(path).endswith('webp') else [])
    return str(path)


def assert_shows(path, rate, seconds, tolerance):
    """The clip's pictures are frames(), in order, at the rate."""
    info = probe(path)
    assert (info.width, info.height) == SIZE[::-1] and info.fps == pytest.approx(rate, rel=1e-3)
    assert info.duration == pytest.approx(seconds, rel=1e-3)
    shown = read_clip(path, rate=rate).frames.astype(int)
    assert len(shown) == COUNT and np.abs(shown - frames()).mean((1, 2, 3)).max() < tolerance
    late = read_clip(path, rate=rate, start=20 / rate, seconds=3 / rate).frames.astype(int)
    assert np.abs(late - frames()[20:23]).mean() < tolerance


@pytest.mark.parametrize('ending', ['.jpg', '.png', '.webp', '.bmp', '.tiff', '.ppm', '.PNG'])
def test_a_folder_of_numbered_pictures_is_one_clip(tmp_path, ending):
    folder = write_series(tmp_path / 'bear', ending, step=7)
    assert places.find_clips(str(tmp_path)) == ([folder], {places.SERIES: 1}) == places.find_clips(folder)
    assert_shows(folder, RATE, COUNT / RATE, 8)
    assert measured_row(folder)['id'] == measured_row(folder)['id']


def test_a_folder_of_such_folders_is_as_many_clips(tmp_path):
    for name, ending in (('JPEGImages/bear', '.jpg'), ('JPEGImages/v1.0', '.jpg'), ('Annotations/bear', '.png')):
        write_series(tmp_path / name, ending, count=5)
    write_series(tmp_path / 'mixed', '.png', count=3)
    (tmp_path / 'mixed/a.mp4').touch()
    write_series(tmp_path / 'two', '.png', 'a{}', count=3)
    write_series(tmp_path / 'two', '.png', 'b{}', count=3)
    write_series(tmp_path / 'one', '.jpg', count=1)
    (tmp_path / 'JPEGImages/bear/readme.txt').touch()
    clips, others = places.find_clips(str(tmp_path))
    assert [os.path.relpath(clip, tmp_path) for clip in clips] == ['Annotations/bear', 'JPEGImages/bear', 'JPEGImages/v1.0', 'mixed/a.mp4']
    assert others == {'.png (still pictures)': 9, '.jpg (still pictures)': 1, '.txt': 1, places.SERIES: 3}


def test_a_series_in_an_archive_and_elsewhere_is_the_same_clip(tmp_path):
    folder = pathlib.Path(write_series(tmp_path / 'bear', '.png', count=12))
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as out:
        for file in folder.iterdir():
            out.write(file, f'480p/bear/{file.name}')
    memory = fsspec.filesystem('memory')
    memory.store.clear()
    memory.put(str(folder), 'memory://set/bear', recursive=True)
    paths = [str(folder), *places.find_clips(str(tmp_path / 'x.zip'))[0], *places.find_clips('memory://set')[0]]
    memory_rows = [measured_row(path) for path in paths]
    memory.store.clear()
    assert paths[1:] == [f'zip://480p/bear::{tmp_path}/x.zip', 'memory://set/bear']
    assert len({row['id'] for row in memory_rows}) == 1 and 'motion' in memory_rows[0]


@pytest.mark.parametrize('pattern', ['%05d.png', '*.png', '000??.png', '%d.png'])
def test_a_pattern_of_pictures_is_one_clip(tmp_path, pattern):
    folder = write_series(tmp_path / 'my%20f', '.png')
    (tmp_path / 'my%20f/notes.txt').touch()
    (clip,), others = places.find_clips(f'{folder}/{pattern}')
    assert read_clips(clip)['clip'].to_pylist() == [clip] == [f'{folder}/{pattern}'] and others == {places.SERIES: 1}
    assert_shows(f'{folder}/{pattern}', RATE, COUNT / RATE, 1)
    stamps = [places.stamp(f'{folder}/{pattern}') for _ in range(2)]
    shutil.copy(f'{folder}/00000.png', f'{folder}/00001.png')
    assert stamps[0] == stamps[1] != places.stamp(f'{folder}/{pattern}')
    with pytest.raises(UserError, match='no pictures'):
        read_clips(f'{tmp_path}/{pattern}')


def test_a_rate_is_said_after_the_folder(tmp_path):
    folder = write_series(tmp_path / 'bear', '.png')
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as out:
        for name in os.listdir(folder):
            out.write(f'{folder}/{name}', f'bear/{name}')
    clips, others = places.find_clips(f'{tmp_path}?fps=12.5')
    assert not others and clips == [f'{folder}?fps=12.5', f'zip://bear?fps=12.5::{tmp_path}/x.zip']
    for clip in (*clips, f'{folder}/%05d.png?fps=12.5'):
        assert read_clips(clip)['clip'].to_pylist() == [clip] and places.stamp(clip)
        assert_shows(clip, 12.5, COUNT / 12.5, 1)
    assert len({measured_row(clip)['id'] for clip in (folder, *clips)}) == 2, 'by its rate another clip'


def test_numbers_decide_the_order():
    assert series_of(['f10.png', 'f9.png', 'f2.PNG']) == ['f2.PNG', 'f9.png', 'f10.png']
    assert series_of(['cam2_1_l.png', 'cam2_03_l.png']) == ['cam2_1_l.png', 'cam2_03_l.png']
    for names in (['1.png'], ['1.png', '2.jpg'], ['a.png', 'b.png'], ['a1.png', 'b2.png'], []):
        assert series_of(names) is None


def test_a_damaged_picture_leaves_the_one_before_on_display(tmp_path):
    for ending in ('.png', '.bmp'):
        folder = write_series(tmp_path / ending[1:], ending)
        pathlib.Path(folder, f'00010{ending}').write_bytes(b'')
        clip = read_clip(folder, rate=RATE)
        assert len(clip.frames) == COUNT and (clip.frames[10] == clip.frames[9]).all() and (clip.frames[11] != clip.frames[9]).any()
        pathlib.Path(folder, f'00000{ending}').write_bytes(b'')
        with pytest.raises(places.BadClip, match='first picture'):
            read_clip(folder, rate=RATE)


@pytest.mark.parametrize(('name', 'tolerance'), [('a.webp', 1), ('a.png', 1), ('a.apng', 1), ('a.avif', 8), ('a.gif', 30)])
def test_animations_are_clips(tmp_path, name, tolerance):
    written = animation(tmp_path / name.replace('apng', 'png'))
    path = shutil.move(written, tmp_path / name)
    path = str(path)
    assert read_clips(path)['clip'].to_pylist() == read_clips(str(tmp_path))['clip'].to_pylist() == [path]
    assert_shows(path, 25, COUNT / 25, tolerance)
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as out:
        out.write(path, f'd/{name}')
    assert places.find_clips(f'{tmp_path}/x.zip') == ([f'zip://d/{name}::{tmp_path}/x.zip'], {})


@pytest.mark.parametrize('ending', ['.webp', '.png', '.avif'])
def test_still_pictures_are_left_out_by_what_they_are(tmp_path, ending):
    cv2.imwrite(str(tmp_path / f'still{ending}'), frames(1)[0])
    animation(tmp_path / f'film{ending}')
    clips, others = places.find_clips(str(tmp_path))
    assert clips == [f'{tmp_path}/film{ending}'] and others == {f'{ending} (still pictures)': 1}
    with pytest.raises(UserError, match='still pictures'):
        read_clips(f'{tmp_path}/still{ending}')
    with pytest.raises(places.BadClip):
        read_clip(f'{tmp_path}/still{ending}', rate=10)


def test_numbered_animations_are_not_one_series(tmp_path):
    names = [animation(tmp_path / f'{k}.webp', count=3) for k in range(3)]
    assert places.find_clips(str(tmp_path)) == (names, {})


def test_a_damaged_or_large_animation_has_a_reason(tmp_path):
    path = pathlib.Path(animation(tmp_path / 'a.webp'))
    with pytest.raises(places.BadClip, match='more than 1000 bytes decoded'):
        probe(path, limits=Limits(max_bytes=1000))
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    with pytest.raises(places.BadClip, match='truncated'):
        probe(path)
    path.write_bytes(data[:200] + bytes(len(data) - 200))
    with pytest.raises(places.BadClip):
        probe(path)


def test_a_picture_that_hardly_stays_stays_as_long_as_browsers_show_it(tmp_path):
    assert probe(animation(tmp_path / 'a.webp', milliseconds=1)).fps == pytest.approx(10)


STREAMS = {'a.h264': ('libx264', 'h264', 24), 'a.264': ('libx264', 'h264', 30), 'a.h265': ('libx265', 'hevc', 24),
           'a.hevc': ('libx265', 'hevc', 50), 'a.ivf': ('libvpx-vp9', 'ivf', 24), 'a.m4v': ('mpeg4', 'm4v', 24),
           'a.m2v': ('mpeg2video', 'mpeg2video', 24),
           'a.obu': ('libsvtav1', 'obu', None), 'a.mjpeg': ('mjpeg', 'mjpeg', None)}


@pytest.mark.parametrize('name', STREAMS)
def test_streams_without_a_container(tmp_path, name):
    """At the rate that the stream tells; libav's 25 a second where it tells none."""
    codec, form, rate = STREAMS[name]
    quality = {'libx264': {'crf': '8', 'bf': '3', 'g': '12'}, 'libx265': {'x265-params': 'log-level=none:crf=8:bframes=3:keyint=12'},
               'mjpeg': {'qmin': '1', 'qmax': '1'}, 'libsvtav1': {'crf': '10', 'preset': '10'}}.get(codec, {'b': '4000000'})
    path = str(tmp_path / name)
    with av.open(path, 'w', format=form) as out:
        stream = out.add_stream(codec, rate=rate or 30, options=quality)
        stream.height, stream.width, stream.pix_fmt = *SIZE, 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        for number, frame in enumerate(frames()):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = number, fractions.Fraction(1, rate or 30)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    assert read_clips(str(tmp_path))['clip'].to_pylist() == [path]
    assert_shows(path, rate or 25, COUNT / (rate or 25), 12)
