"""The bytes of texts that lie beside clips, on a disk or at a URL, and the captions of clips that are named one by one."""
import fsspec
import pyarrow as pa

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.sidecars import ENDINGS, LARGEST, captions_beside


def reader(example):
    """A function that gives the bytes of files, or what went wrong with each; example: one of their clips."""
    if not places.is_remote(example):
        return lambda names: [_local_bytes(name) for name in names]
    system, _ = fsspec.core.url_to_fs(example)

    def read(names):
        inside = [system._strip_protocol(fsspec.core.url_to_fs(name)[1]) for name in names]
        got = system.cat(inside, on_error='return') if len(inside) > 1 else {inside[0]: _one(system, inside[0])}
        return [got[name] for name in inside]
    return read


def _one(system, name):
    try:
        return system.cat_file(name)
    except Exception as error:  # every backend has exceptions of its own
        return error


def _local_bytes(name):
    try:
        with open(places.as_local(name), 'rb') as file:
            return file.read(LARGEST)
    except OSError as error:
        return error


def beside_local(paths: pa.Array) -> tuple[pa.ChunkedArray, dict]:
    """(lists of captions, {where they come from: clips}) of clips, of local ones from files beside them: each is tried to be opened."""
    stems = [path.rsplit('.', 1)[0] for path in paths.to_pylist() if not places.is_remote(path)]
    names = pa.array([f'{stem}{ending}' for stem in stems for ending in ENDINGS], pa.string())
    if not len(names):
        return several.none(len(paths)), {}
    beside = captions_beside(paths, names, reader('.'))
    return beside.lists, {f'{ending} beside each clip': count for ending, count in beside.read.items()}
