"""The clips that a row of time stamps names: a list of [start, end], one such pair, or columns start and end."""
import ast
import pathlib
import re

from transfer_jax.runtime.errors import UserError

TIME = re.compile(r'(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)')  # h:mm:ss.fff, mm:ss, or seconds


def cuts_of(row: dict, where: str, extra: tuple) -> list[dict]:
    """Dicts of clip (the name of a file to write), caption, start and end in s, and the columns `extra`, one for each clip of a row.

    A value that is a list of as many as there are clips is theirs one by one. Raises UserError, which begins with `where`.
    """
    pairs = _pairs(row, where)
    several = isinstance(pairs[0], list | tuple)
    pairs = pairs if several else [pairs]
    times = [_times(pair, where) for pair in pairs]
    name = next((pathlib.PurePath(row[key]).stem for key in ('videoID', 'clip', 'path', 'video', 'file_name') if row.get(key)), None)
    if name is None:
        raise UserError(f'{where} names no video: it has the columns {", ".join(map(str, row))}')
    values = {key: _each(row.get(key) or row.get({'caption': 'text'}.get(key)), len(times)) for key in ('caption', *extra)}
    one_by_one = lambda k, start: f'{name}_{k}.mp4' if several else f'{name}.mp4' if 'timestamp' in row else f'{name}_{start:g}.mp4'
    return [{'clip': one_by_one(k, start), 'start': start, 'end': end} | {key: value[k] for key, value in values.items()}
            for k, (start, end) in enumerate(times)]


def _pairs(row, where):
    """The pair, or the pairs, of a row."""
    stated = row.get('timestamp') or row.get('timestamps')
    if not stated:
        pair = [row.get(key) for key in ('start', 'end')]
        if not all(pair):
            raise UserError(f'{where} has no timestamp, nor start and end')
        return pair
    try:
        pairs = ast.literal_eval(stated)
        if pairs and isinstance(pairs, list | tuple):
            return pairs
    except (ValueError, SyntaxError):
        pass
    raise UserError(f'{where}: timestamp is {stated[:60]!r}, and not [[start, end], ...]')


def _times(pair, where):
    """(start, end) in s."""
    found = [TIME.fullmatch(str(time).strip()) for time in pair] if isinstance(pair, list | tuple) else []
    seconds = [3600 * int(one[1] or 0) + 60 * int(one[2] or 0) + float(one[3]) for one in found if one]
    if len(pair) != 2 or len(seconds) != 2 or not seconds[0] < seconds[1]:
        raise UserError(f'{where}: {str(pair)[:60]} is no start and end, in seconds or as h:mm:ss.fff')
    return seconds


def _each(value, count):
    """The value of each of `count` clips: those of a list of as many, else the one for all."""
    if value and value.lstrip().startswith('['):
        try:
            listed = ast.literal_eval(value)
            if isinstance(listed, list) and len(listed) == count:
                return listed
        except (ValueError, SyntaxError):
            pass
    return [value or ''] * count
