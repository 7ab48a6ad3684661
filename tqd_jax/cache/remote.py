"""A cache in an object store: its indexes and shards, which never change, as copies on the local disk."""
import concurrent.futures
import pathlib
import shutil

from tqd_jax.cache.shard import SHARD, index_of
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import upload
from transfer_jax.runtime.paths import AnyPath, fetch, scratch_of, store_of
from transfer_jax.runtime.progress import Progress

THREADS = 16


def fetch_indexes(folder: AnyPath) -> dict[str, int]:
    """{name: bytes} of the shards in a folder of an object store that have an index; the indexes are then in scratch_of(folder)."""
    system, name = store_of(folder)
    try:
        sizes = {one['name'].rpartition('/')[2]: one['size'] for one in system.ls(name, detail=True)}
    except FileNotFoundError:
        return {}
    shards = {shard: size for shard, size in sizes.items() if shard.endswith(SHARD) and index_of(pathlib.Path(shard)).name in sizes}
    _fetch_all(folder, {index_of(pathlib.Path(shard)).name: sizes[index_of(pathlib.Path(shard)).name] for shard in shards}, 'indexes')
    return shards


def fetch_shards(folder: AnyPath, sizes: dict[str, int]) -> None:
    """Copies shards {name: bytes} of a folder of an object store to scratch_of(folder), those that are not there.

    Raises UserError where the local disk has no room for them.
    """
    _fetch_all(folder, sizes, folder.name)


def publish(shard: pathlib.Path, folder: AnyPath) -> None:
    """Brings a shard and then its index to a folder of an object store; the local copies stay in scratch_of(folder)."""
    for path in (shard, index_of(shard)):
        upload(path, folder / path.name)
    kept = scratch_of(folder)
    kept.mkdir(parents=True, exist_ok=True)
    for path in (shard, index_of(shard)):
        shutil.move(path, kept / path.name)


def _fetch_all(folder, sizes, label):
    kept = scratch_of(folder)
    kept.mkdir(parents=True, exist_ok=True)
    there = {path.name: path.stat().st_size for path in kept.iterdir()}
    lacking = [name for name, size in sizes.items() if there.get(name) != size]
    need, free = sum(sizes[name] for name in lacking), shutil.disk_usage(kept).free
    if need > free:
        raise UserError(f'{folder}: the copies that training reads take {need / 1e9:.1f} GB, and {kept} has {free / 1e9:.1f} GB free; set '
                        'TMPDIR to a larger local disk')
    if not lacking:
        return
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool, Progress(len(lacking), label=f'fetch {label}', unit='file') as progress:
        for _ in pool.map(lambda name: fetch(folder / name, kept / name), lacking):
            progress.update(1)
