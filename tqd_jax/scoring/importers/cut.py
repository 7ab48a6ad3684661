"""Cuts long videos into the clips that a table of time stamps names: Panda-70M, Koala-36M, and tables of start and end.

    python -m tqd_jax.scoring.importers.cut --table=panda70m_testing.csv --videos=videos --output=clips

The folder of the output then has the clips and metadata.csv, with a clip, its caption and its other values a row; started again it goes
on where it was. A clip is decoded from `start` to before `end` at the video's own rate, and encoded at high quality without its sound.
"""
import argparse
import csv
import os
import pathlib
import re
import sys

from tqd_jax.clips.display import probe
from tqd_jax.clips.places import BadClip, find_clips
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.importers.stamps import cuts_of
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError, errors_in_one_line

ID = re.compile(r'(?:[?&]v=|youtu\.be/|/shorts/|/embed/)([\w-]{6,})')  # of a video, in its address
FIELD = 2**27  # characters of a value: a row of Panda-70M has all clips of a video
EXTRA = ('matching_score', 'clarity_score', 'aesthetic_score', 'motion_score', 'video_training_suitability_score')


def cut(table: str, videos: str, output: str) -> tuple[int, dict]:
    """Writes every clip of the CSV `table` whose video is under `videos`: (how many there are, {reason: how many have it}).

    A row has its video's name (columns clip, path or video, or videoID, else the address in url), and timestamp, lists of [start, end] or
    one of them, or columns start and end; in seconds or as h:mm:ss.fff. A video is found by its name without the ending.
    Raises UserError where the table cannot be read so, or there are no videos.
    """
    found = {pathlib.PurePath(path).stem: path for path in find_clips(videos)[0]}
    if not found:
        raise UserError(f'--videos={videos}: there are no videos')
    folder, written, reasons = pathlib.Path(output), 0, {}
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'metadata.csv', 'w', newline='', encoding='utf-8') as file:
        listed = csv.DictWriter(file, ['clip', 'caption', 'start', 'end', *EXTRA])
        listed.writeheader()
        for number, row in enumerate(_rows(table)):
            video = next((found[name] for name in _names(row) if name in found), None)
            for one in cuts_of(row, f'{table}, row {number}', EXTRA):
                reason = _write(video, one, folder)
                if reason:
                    reasons[reason] = reasons.get(reason, 0) + 1
                else:
                    listed.writerow(one)
                    written += 1
    return written, reasons


def _rows(table):
    csv.field_size_limit(FIELD)
    try:
        with open(table, newline='', encoding='utf-8-sig') as file:
            yield from csv.DictReader(file)
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(f'--table={table} cannot be read: {error}') from None


def _names(row):
    """What a row's video may be called, without an ending."""
    stated = [row.get(name) for name in ('clip', 'path', 'video', 'file_name', 'videoID')]
    in_address = ID.search(row.get('url') or '')
    return [*(pathlib.PurePath(name).stem for name in stated if name), *([in_address[1]] if in_address else [])]


def _write(video, one, folder):
    """Why a cut cannot be written, or None."""
    path = folder / one['clip']
    if path.exists():
        return None
    if video is None:
        return 'its video is not there'
    try:
        info = probe(video)
        frames = read_clip(video, rate=info.fps, start=one['start'], seconds=one['end'] - one['start']).frames
    except BadClip as error:
        return f'its video cannot be used ({error})'
    height, width = (side // 2 * 2 for side in frames.shape[1:3])
    write_clip(path, frames[:, :height, :width], info.fps)
    return None


def main(arguments):
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, meaning in (('table', 'a CSV of time stamps'), ('videos', 'the folder of the videos'), ('output', 'the folder of the clips')):
        parser.add_argument(f'--{name}', required=True, help=meaning)
    flags = parser.parse_args(arguments)
    written, reasons = cut(*map(os.path.expanduser, (flags.table, flags.videos, flags.output)))
    print(f'{counted(written, "clip")}: {flags.output}')
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        print(f'left out: {count}, {reason}')


if __name__ == '__main__':
    with errors_in_one_line(OSError):
        main(sys.argv[1:])
