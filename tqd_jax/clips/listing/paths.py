"""A manifest's column of clips as whole paths, and which of them are not there."""
import functools
import os
import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.listing.texts import by_piece
from tqd_jax.clips.tables import pieces
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError

TRIED = ('.mp4', '.webm', '.mkv', '.mov', '.avi', '.gif')  # endings that a name without one may lack
LONGEST = 4096  # characters of a path or an address
PATTERN = re.compile(r'%0?\d*d|[*?]')  # in a name, of an image sequence


def whole_paths(manifest, column, folder, bare=False) -> pa.ChunkedArray:
    """The paths of the rows as every writer takes them, seen from `folder`. bare: of names without their ending, .mp4.

    Local names are also tried with slashes for Windows' signs, and without an ending with the usual ones. Raises UserError, with the row,
    where one is no path.
    """
    tidy = functools.partial(_there, folder, bare)

    def convert(first, names):
        names = [os.fsdecode(name) if isinstance(name, bytes) else name for name in names]
        for row, name in enumerate(names, start=first):
            if not isinstance(name, str) or not name:
                raise UserError(f'manifest {manifest}, row {row}: clip is {_shown(name)}, not a path')
            if len(name) > LONGEST or name.startswith('data:'):
                raise UserError(f'manifest {manifest}, row {row}: clip holds the bytes of a video as text, {_shown(name)}: write files and '
                                'their paths, or Parquet with a column of bytes')
        return [places.as_text(tidy(name)) for name in names]
    return by_piece(column, convert)


def folder_of_paths(manifest, column) -> str:
    """The folder that a manifest's relative paths are seen from: its own, or '' where the first lies in the working directory alone."""
    folder, first = places.parent(manifest), column[0].as_py() if len(column) else None
    if not isinstance(first, str) or not first or places.is_remote(manifest) or os.path.isabs(first):
        return folder
    return '' if os.path.lexists(first) and not os.path.lexists(places.as_local(places.join(folder, first))) else folder


def is_there(path) -> bool:
    """Whether a clip is there, as far as that costs nothing: a clip elsewhere, and a pattern of names, are taken to be."""
    return places.is_remote(path) or os.path.lexists(places.as_local(path)) or bool(PATTERN.search(os.path.basename(path)))


def missing_line(where, clips) -> list[str]:
    """[one line for the user on the local clips that are not there, and the first of them], or [] where all are."""
    count, first = 0, None
    for piece in pieces(clips):
        for path in piece.to_pylist():
            if not is_there(path):
                count, first = count + 1, first or path
    return [f'{count} of {counted(len(clips), "clip")} of {where} {plural(count, "is", "are")} not there: the first is '
            f'{first}'] if count else []


def rows_there(table: pa.Table) -> pa.Table:
    """The rows of a table of clips whose clip is there."""
    parts = [pa.array([is_there(path) for path in piece.to_pylist()], pa.bool_()) for piece in pieces(table['clip'])]
    mask = pa.chunked_array(parts, pa.bool_())
    return table if pc.all(mask).as_py() else table.filter(mask)


def _there(folder, bare, name):
    """The path of a name, of several that it may mean the one that is there."""
    path = places.join(folder, name)
    if places.is_remote(path):
        return f'{path}.mp4' if bare and not places.ending(path) else path
    if '\\' in name and not os.path.lexists(places.as_local(path)):
        path = places.join(folder, name.replace('\\', '/'))
    path = _as_written(path)
    if places.ending(path) not in places.ENDINGS and not os.path.lexists(places.as_local(path)):
        tried = (f'{path}{ending}' for ending in TRIED)
        return next((one for one in tried if os.path.lexists(places.as_local(one))), f'{path}.mp4' if bare else path)
    return path


def _as_written(path):
    """A path, or the one with its letters composed or decomposed that is there in its place."""
    if path.isascii() or os.path.lexists(places.as_local(path)):
        return path
    forms = (unicodedata.normalize(form, path) for form in ('NFC', 'NFD'))
    return next((one for one in forms if os.path.lexists(places.as_local(one))), path)


def _shown(value):
    return repr(value) if len(repr(value)) < 100 else f'{repr(value)[:60]}... ({len(repr(value))} signs)'
