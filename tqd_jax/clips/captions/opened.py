"""The bytes of texts that lie beside clips, on a disk, at a URL or in an archive, and the captions of clips that are named one by one."""
import collections

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.archives.inside import texts_by_archive
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.parse import ENDINGS, LARGEST
from tqd_jax.clips.captions.sidecars import captions_beside


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


def beside_named(paths: pa.Array) -> tuple[pa.ChunkedArray, dict]:
    """(lists of captions, {where they come from: clips}) of clips that are named one by one: of local ones from files beside them, each of
    which is tried to be opened, and of members from their archives; of clips at URLs none."""
    names = paths.to_pylist()
    inside = pa.array([bool(places.member_of(name)) for name in names], pa.bool_())
    lists, read = _beside_local(paths)
    if not pc.any(inside).as_py():
        return lists, read
    more, origins = beside_inside(paths.filter(inside).to_pylist())
    return several.prefer(lists, several.spread(more, inside)), dict(collections.Counter(read) + origins)


def beside_inside(clips: list[str]) -> tuple[pa.ChunkedArray, collections.Counter]:
    """(lists of captions, {where they come from: clips}) of clips in archives, from the members beside them."""
    parts, origins = [], collections.Counter()
    for names, texts, read in texts_by_archive(clips):
        beside = captions_beside(pa.array(names, pa.string()), texts, read, by_sample=True)
        parts += beside.lists.chunks
        origins.update({f'{ending} beside each clip in its archive': count for ending, count in beside.read.items()})
    return pa.chunked_array(parts, several.LISTS), origins


def _beside_local(paths):
    stems = [path.rsplit('.', 1)[0] for path in paths.to_pylist() if not places.is_remote(path)]
    names = pa.array([f'{stem}{ending}' for stem in stems for ending in ENDINGS], pa.string())
    if not len(names):
        return several.none(len(paths)), {}
    beside = captions_beside(paths, names, reader('.'))
    return beside.lists, {f'{ending} beside each clip': count for ending, count in beside.read.items()}
