"""The work of an encoding: clips decoded ahead in worker processes, batches of one shape, and an account of what was done."""
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator

import grain
import numpy as np
from jaxtyping import Int, Shaped

from tqd_jax.cache.windows import places
from tqd_jax.clips.container import is_of_content
from tqd_jax.clips.places import BadClip
from tqd_jax.data.frames import FrameStore
from tqd_jax.data.loader import iterate
from tqd_jax.data.rows import Rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decode:
    """(clip, window) -> its frames, or why there are none. Picklable, for worker processes."""
    rows: Rows
    store: FrameStore
    windows: int
    crop: str

    def __call__(self, item: Int[np.ndarray, '2']) -> dict:
        """{'clip', 'window', 'frames', 'reason', 'lasts'}; frames: uint8 [F, H, W, 3], or [0] with a reason, which lasts or may not."""
        clip, window = (int(number) for number in item)
        place, = places(self.rows.ids[clip:clip + 1], self.windows, self.crop)
        one = {'clip': clip, 'window': window, 'frames': np.zeros(0, np.uint8), 'reason': '', 'lasts': True}
        try:
            return one | {'frames': np.ascontiguousarray(self.store.example(clip, self.rows.bucket_of(clip), place[window]))}
        except BadClip as error:
            return one | {'reason': str(error) or 'cannot be read', 'lasts': is_of_content(error)}


def decoded(items: Int[np.ndarray, 'm 2'], decode: Decode, *, workers: int, prefetch: int) -> Iterator[dict]:
    """decode of items, in their order, `prefetch` of them ahead: in threads or worker processes, as iterate does. It has a close()."""
    dataset = grain.MapDataset.source(np.asarray(items)).map(decode)
    return iterate(dataset, 0, len(items), workers=workers, prefetch=prefetch)


def batches(ones: Iterable[dict], bucket_of: Callable, size: int, refuse: Callable) -> Iterator[list]:
    """Lists of at most `size` of what Decode gives, of one bucket each, in their order; refuse(one) is called for those without frames."""
    for _, group in itertools.groupby(ones, key=lambda one: bucket_of(one['clip'])):
        usable = _usable(group, refuse)
        while batch := list(itertools.islice(usable, size)):
            yield batch


def _usable(ones, refuse):
    for one in ones:
        if one['reason']:
            refuse(one)
        else:
            yield one


def padded(rows: list, size: int) -> Shaped[np.ndarray, '{size} ...']:
    """Arrays of one shape, stacked; the last is repeated where there are fewer than `size`, so that every batch is one program's."""
    return np.stack([*rows, *[rows[-1]] * (size - len(rows))])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """One process's share of an encoding. encoded: records that were written. found: that were there.

    failed: dicts with 'reason', and 'clip' (a path) or 'caption'. too_long: captions that were cut to the encoder's length, and encoded.
    seconds: in all; waited: of them, for what is encoded to be read and prepared. stopped: by a request, with more left to do.
    """
    encoded: int
    found: int
    failed: tuple = ()
    too_long: tuple = ()
    seconds: float
    waited: float
    stopped: bool


class Waiting:
    """Hands on what an iterable gives until a stop is requested, and counts the seconds until it did."""

    def __init__(self, stop):
        self.seconds, self._stop = 0.0, stop

    def on(self, items: Iterable) -> Iterator:
        """The items; stop.requested is read before each is taken."""
        items = iter(items)
        while not self._stop.requested:
            start = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            except RuntimeError:  # Ctrl-C goes to worker processes too, and ends those that are still starting
                if self._stop.requested:
                    return
                raise
            finally:
                self.seconds += time.perf_counter() - start
            yield item


def one_behind(items: Iterable) -> Iterator:
    """The items in their order, each when the next one is there: so that a device computes an item while the next is made."""
    before = []
    for item in items:
        yield from before
        before = [item]
    yield from before
