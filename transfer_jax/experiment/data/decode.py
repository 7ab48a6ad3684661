"""Image files -> a memory map of decoded images, which later runs with the same files share."""
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Sequence

import grain
import numpy as np
from absl import flags

from transfer_jax.experiment.data.images import fit, read_image
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import replace_atomically
from transfer_jax.runtime.parallel.cores import cores
from transfer_jax.runtime.progress import Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How files are decoded: to uint8 [size, size, channels], in the folder `cache`, by `workers` processes, or threads if 0.

    max_skipped: the largest fraction of a domain's files that may be unreadable.
    """
    size: int
    channels: int
    cache: pathlib.Path
    workers: int = 0
    max_skipped: float = 0.1


def decode_files(name: str, paths: Sequence[pathlib.Path], how: Decoding) -> tuple[np.ndarray, np.ndarray, list[dict[str, str]]]:
    """A domain's decoded images.

    Args:
      name: of the domain.
      paths: of its files.
      how: Decoding.

    Returns:
      images: uint8 [m, size, size, channels], a read-only memory map of those that could be decoded, in the order of paths.
      rows: int64 [m], their places in paths. skipped: the others, as dicts {file, reason}.

    Raises:
      UserError: too many files are unreadable, or all, or the cache has no room.
    """
    target = pathlib.Path(how.cache, f'{re.sub(r"[^A-Za-z0-9]+", "_", name)}-{_key(paths, how)}.npy')
    record = target.with_suffix('.json')  # written last: a cache without this file is incomplete
    if not (record.exists() and target.exists()):
        how.cache.mkdir(parents=True, exist_ok=True)
        _check_room(len(paths), how)
        bad = replace_atomically(target, lambda part: _write(part, name, paths, how), concurrent=True)
        replace_atomically(record, lambda part: part.write_text(json.dumps(bad), encoding='utf-8'), concurrent=True)
    bad = {int(row): reason for row, reason in json.loads(record.read_text(encoding='utf-8')).items()}
    _check_threshold(name, paths, bad, how)
    rows = np.array([row for row in range(len(paths)) if row not in bad], np.int64)
    return np.load(target, mmap_mode='r'), rows, [{'file': str(paths[row]), 'reason': reason} for row, reason in bad.items()]


def _key(paths, how):
    """A key of these files (path, size, time of change) and of the images' size."""
    stats = [(os.path.abspath(path), *((stat.st_size, stat.st_mtime_ns) if (stat := _stat(path)) else ())) for path in paths]
    return hashlib.sha256(json.dumps([stats, how.size, how.channels]).encode()).hexdigest()[:16]


def _stat(path):
    try:
        return path.stat()
    except OSError:
        return None


def _check_room(count, how):
    needed_bytes, free = count * how.size**2 * how.channels, shutil.disk_usage(how.cache).free
    if needed_bytes > free:
        raise UserError(f'{count} decoded images of {how.size} x {how.size} take {needed_bytes / 1e9:.1f} GB, and {how.cache} has '
                        f'{free / 1e9:.1f} GB free; set config.data.cache to another folder, or config.data.max_per_domain')


def _write(part, name, paths, how):
    """Writes the .npy and returns {row: reason} of the files that are not in it. Plain writes: a full disk is an error, not a signal."""
    bad, shape = {}, (how.size, how.size, how.channels)
    with open(part, 'wb') as file, Progress(len(paths), label=f'decode {name}', unit='image') as progress:
        _write_header(file, len(paths), shape)
        with contextlib.closing(_decode_images(paths, how)) as images:
            for row, element in enumerate(images):
                if element['reason']:
                    bad[row] = element['reason']
                    _check_threshold(name, paths, bad, how)
                else:
                    file.write(element['image'].tobytes())
                progress.update()
        file.seek(0)
        _write_header(file, len(paths) - len(bad), shape)  # NumPy pads headers, so that the new one is as long
    return bad


def _write_header(file, count, shape):
    np.lib.format.write_array_header_1_0(file, {'descr': '|u1', 'fortran_order': False, 'shape': (count, *shape)})


def _decode_images(paths, how):
    """An iterator over {image, reason} of the files, in order, by grain."""
    flags.FLAGS.mark_as_parsed()  # grain reads absl flags, which notebooks and tests do not parse
    dataset = grain.MapDataset.source([str(path) for path in paths]).map(_Decoder(how.size, how.channels))
    dataset = dataset.to_iter_dataset(grain.ReadOptions(num_threads=cores(), prefetch_buffer_size=64))
    if how.workers:
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=how.workers, per_worker_buffer_size=32))
    return iter(dataset)


@dataclasses.dataclass(frozen=True)
class _Decoder:
    """path -> {image, reason} for grain; picklable, so that worker processes can hold it."""
    size: int
    channels: int

    def __call__(self, path):
        try:
            return {'image': np.ascontiguousarray(fit(read_image(pathlib.Path(path)), self.size, self.channels)), 'reason': ''}
        except ValueError as error:
            return {'image': np.zeros((self.size, self.size, self.channels), np.uint8), 'reason': str(error)}


def _check_threshold(name, paths, bad, how):
    """Raises UserError where more of a domain's images are bad {row: reason} than `how` allows."""
    first = '; '.join(f'{paths[row]}: {reason}' for row, reason in list(bad.items())[:3])
    if len(bad) == len(paths):
        raise UserError(f'domain {name!r}: '
                        f'{plural(len(paths), "its one image cannot be read", f"none of its {len(paths)} images can be read")} '
                        f'({first}); restore them or leave the domain out')
    if len(bad) > how.max_skipped * len(paths):
        raise UserError(f'domain {name!r}: {len(bad)} or more of {counted(len(paths), "image")} cannot be read, more than '
                        f'config.data.max_skipped_fraction = {how.max_skipped:g} ({first}); restore them, or raise it')
