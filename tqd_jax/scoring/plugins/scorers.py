"""Learned scorers as plug-ins: the protocol, loading by name, and the run over clips, in batches on the accelerator."""
import collections
import importlib
import inspect
import itertools
import math
import pathlib
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import cv2
import numpy as np

from tqd_jax.clips.container import Limits
from tqd_jax.clips.display import probe
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.row import why
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home


class Scorer(Protocol):
    """Measures batches of clips that are all of one shape; plugins/raft.py has one.

    name: a short word. version: another text means that clips are measured anew. columns: what it measures, each beginning with its name.
    rate: frames a second that it looks at. frames: how many of them. size: height and width of a frame in pixels.
    """
    name: str
    version: str
    columns: tuple[str, ...]
    rate: float
    frames: int
    size: tuple[int, int]

    def __call__(self, frames):
        """{column: float [B]} of frames uint8 [B, F, H, W, 3], RGB. A row depends on its own frames alone; NaN is no value.

        A clip of another shape comes with black bars, a clip that is too short with its last frame repeated.
        """


ATTRIBUTES = (  # name, what it must be, and whether a value is
    ('name', 'a text', lambda x: isinstance(x, str) and x),
    ('version', 'a text', lambda x: isinstance(x, str) and x),
    ('columns', 'a tuple of texts', lambda x: isinstance(x, tuple) and x and all(isinstance(column, str) for column in x)),
    ('rate', 'a number above 0', lambda x: isinstance(x, float | int) and 0 < x < math.inf),
    ('frames', 'a whole number above 0', lambda x: _counts((x,))),
    ('size', 'a tuple of height and width', lambda x: isinstance(x, tuple) and len(x) == 2 and _counts(x)),
)


def _counts(numbers):
    return all(isinstance(number, int) and number > 0 for number in numbers)


def load_scorers(specs, taken=()):
    """The scorers that texts name: 'module:factory' is what factory() of an importable module returns, 'module:factory=FILE' factory(FILE).

    Raises UserError where module, factory or file is not there, what comes back is no Scorer, two share a name or a column, or one
    has a column that is `taken` already.
    """
    scorers = tuple(_load(spec) for spec in specs)
    for what, names in (('name', [s.name for s in scorers]), ('column', [column for s in scorers for column in s.columns])):
        twice = [name for name, count in collections.Counter(names).items() if count > 1]
        if twice:
            raise UserError(f'scorers {", ".join(specs)}: two have the {what} {twice[0]!r}; leave one out')
    clash = [(s.name, column) for s in scorers for column in s.columns if column in taken]
    if clash:
        raise UserError(f'the scorer {clash[0][0]} has the column {clash[0][1]!r}, which the table has already: rename one of them')
    return scorers


def _load(spec):
    target, equals, file = spec.partition('=')
    module, _, name = target.partition(':')
    if not module or not name:
        raise UserError(f'scorer {spec!r}: write module:factory or module:factory=FILE')
    factory, file = _factory(spec, module, name), at_home(file)
    if equals and not pathlib.Path(file).is_file():
        raise UserError(f'scorer {spec!r}: there is no file {file}; nothing is downloaded: put it there')
    arguments = [file] if equals else []
    try:
        inspect.signature(factory).bind(*arguments)
    except TypeError as error:
        todo = f'it takes no file: write {target}' if equals else f'it needs a file: write {target}=FILE'
        raise UserError(f'scorer {spec!r}: {todo}') from error
    return _check(spec, factory(*arguments))


def _factory(spec, module, name):
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise UserError(f'scorer {spec!r}: {module} cannot be imported ({error}); install it, or start in its folder') from error
    if not callable(function):
        raise UserError(f'scorer {spec!r}: the module {module} has no function {name}')
    return function


def _check(spec, scorer):
    for attribute, what, right in ATTRIBUTES:
        value = getattr(scorer, attribute, None)
        if not right(value):
            raise UserError(f'scorer {spec!r}: its {attribute} must be {what}, and is {value!r}')
    strange = [column for column in scorer.columns if not column.startswith(scorer.name)]
    if strange:
        raise UserError(f'scorer {spec!r}: its column {strange[0]!r} must begin with its name, {scorer.name!r}')
    if not callable(scorer):
        raise UserError(f'scorer {spec!r}: it must be callable, with frames')
    return scorer


def run_scorer(scorer, paths, *, batch, workers, limits=Limits(), pictures=PictureOptions()):
    """Yields (path, {column: float}) of every path in order, (path, {'reason': why}) of a clip whose value is not finite, or
    (path, {'unread': why}) of one that cannot be had now, within `limits`; whatever is raised there is such a reason.

    A scorer sees the middle of a clip. `workers` threads decode ahead of it, a batch at most, so that memory does not grow with the number
    of clips. All batches have `batch` rows, so that one program is compiled: black ones stand for clips that cannot be read, and fill the
    last batch. Raises UserError where a scorer does not return its columns.
    """
    decoded = _ahead(lambda path: (path, _frames(path, scorer, limits, pictures)), paths, workers, batch + workers)
    for clips in iter(lambda: list(itertools.islice(decoded, batch)), []):
        yield from _rows(scorer, clips, batch)


def _ahead(function, items, workers, ahead):
    """function of every item in order, computed by threads for up to `ahead` items early."""
    items = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        pending = collections.deque(pool.submit(function, item) for item in itertools.islice(items, ahead))
        try:
            while pending:
                first = pending.popleft()
                pending.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
                yield first.result()
        finally:
            for future in pending:
                future.cancel()


def _frames(path, scorer, limits, pictures):
    """The clip's middle as the scorer wants it, uint8 [F, H, W, 3], or the reason why it cannot be had."""
    try:
        info = probe(path, limits=limits)
        seconds = scorer.frames / scorer.rate
        short_side = max(1, round(min(info.width, info.height) * _scale((info.height, info.width), scorer.size)))
        start = max(0.0, (info.duration - seconds) / 2)
        clip = read_clip(path, rate=scorer.rate, start=start, seconds=seconds, short_side=short_side, limits=limits, options=pictures)
        frames = np.stack([letterbox(frame, scorer.size) for frame in clip.frames])
    except Exception as error:  # one clip must not end the run: as in scoring.row.measured_row
        return why(error)
    return np.concatenate([frames, frames[-1:].repeat(scorer.frames - len(frames), axis=0)])


def _scale(size, wanted):
    return min(wanted[0] / size[0], wanted[1] / size[1])


def letterbox(frame, size):
    """A frame uint8 [h, w, 3], as large as fits into size = (H, W), in the middle of black [H, W, 3]; shrunk by area."""
    scale = _scale(frame.shape[:2], size)
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    if (height, width) != frame.shape[:2]:
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return np.pad(frame, ((top, size[0] - height - top), (left, size[1] - width - left), (0, 0)))


def _rows(scorer, clips, batch):
    """(path, row) of up to `batch` pairs of a path and its frames, or of a path and the reason why it has none."""
    frames = np.zeros((batch, scorer.frames, *scorer.size, 3), np.uint8)
    usable = [i for i, (_, clip) in enumerate(clips) if not isinstance(clip, str)]
    for i in usable:
        frames[i] = clips[i][1]
    values = _values(scorer, frames) if usable else {}
    for i, (path, clip) in enumerate(clips):
        yield path, _row(scorer, {column: float(values[column][i]) for column in scorer.columns}) if i in usable else {'unread': clip}


def _values(scorer, frames):
    values = {column: np.asarray(value, np.float64) for column, value in scorer(frames).items()}
    wanted = dict.fromkeys(scorer.columns, (len(frames),))
    if (got := {column: value.shape for column, value in values.items()}) != wanted:
        raise UserError(f'the scorer {scorer.name} returned columns of shapes {got}; it must be {wanted}')
    return values


def _row(scorer, row):
    bad = [column for column, value in row.items() if not math.isfinite(value)]
    return {'reason': f'{scorer.name} gave no finite {bad[0]}'} if bad else row
