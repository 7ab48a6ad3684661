"""The files of a shard: its names, the lock of the process that writes it, what killed ones left, and its index.

An index is JSON lines: a head, and a line for every record. It is written last: a shard without one does not count.
"""
import contextlib
import fcntl
import hashlib
import json
import platform
import secrets

import numpy as np

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of

SHARD, INDEX, PART = '.array_record', '.jsonl', '.part'
FORMAT = 1  # of an index
HOST = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()  # a lock may not be seen from another machine


def folder_of(cache, kind):
    """The folder of 'latents' or 'text' in a cache, here or in an object store."""
    return path_of(cache) / kind


def start_part(folder, process):
    """(file, path) of a new hidden file, whose lock this process holds until the file is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f'.{process:04d}-{HOST}-{secrets.token_hex(4)}{SHARD}{PART}'
        file = open(path, 'xb')
        with contextlib.suppress(OSError):  # a file system without locks; no process removes its parts then
            fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():  # else remove_dead_parts had the lock before this process
            return file, path
        file.close()


def shard_of(part):
    """The path of the shard that a part becomes."""
    return part.with_name(part.name.removeprefix('.').removesuffix(PART))


def index_of(shard):
    """The path of a shard's index."""
    return shard.with_name(shard.name.removesuffix(SHARD) + INDEX)


def remove_dead_parts(folder):
    """Removes what killed processes of this machine left: shards without an index, whole or not, that no process has locked.

    Returns the names of the files.
    """
    removed = []
    for path in sorted([*folder.glob(f'.*-{HOST}-*{SHARD}{PART}'), *folder.glob(f'*-{HOST}-*{SHARD}')]):
        shard = shard_of(path)
        if not index_of(shard).exists() and _remove_unlocked(path, shard):
            removed.append(path.name)
    return removed


def _remove_unlocked(path, shard):
    """Whether no process held the lock of a file without an index, which is then gone."""
    try:
        with open(path, 'rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if index_of(shard).exists():  # committed since
                return False
            path.unlink()
            index_of(path.with_name(f'.{shard.name}')).with_suffix(f'{INDEX}{PART}').unlink(missing_ok=True)
            return True
    except OSError:  # locked, no locks here, or another process was first
        return False


def write_index(shard, lines):
    """Writes the index of a shard; lines: one dict a record, with key, position, shape and dtype; what else they have, a person reads."""
    body = b''.join(json.dumps(line).encode() + b'\n' for line in lines)
    head = {'format': FORMAT, 'records': len(lines), 'bytes': shard.stat().st_size, 'hash': _hash(body)}
    write_atomically(index_of(shard), json.dumps(head).encode() + b'\n' + body)


def read_index(shard, size, place):
    """(keys uint8 [n, 16], positions int32 [n], [(shape, dtype's name)] of n) of a shard.

    size: of the shard, bytes; place: where it is, for messages: here, or in an object store of which this is a copy.
    Raises UserError where the index, or the size of the shard that it tells, is not as it was written.
    """
    path = index_of(place)
    head, _, body = index_of(shard).read_bytes().partition(b'\n')
    try:
        head = json.loads(head)
        if head['format'] != FORMAT:
            raise UserError(f'{path} has format {head["format"]}, and this version reads {FORMAT}: name another folder of a cache')
        whole = head['hash'] == _hash(body)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise damaged(path, 'it is not as it was written')
    if size != head['bytes']:
        raise damaged(place, f'it has {size} bytes, and had {head["bytes"]}')
    lines = json.loads(b'[' + b','.join(body.splitlines()) + b']')
    keys = np.frombuffer(bytes.fromhex(''.join(line['key'] for line in lines)), np.uint8).reshape(-1, 16)
    return keys, np.array([line['position'] for line in lines], np.int32), [(tuple(line['shape']), line['dtype']) for line in lines]


def damaged(path, why):
    """The UserError of a file that cannot be read."""
    return UserError(f'{path} is damaged ({why}): delete that file and encode again, which encodes only what it held')


def _hash(body):
    return hashlib.blake2b(body, digest_size=16).hexdigest()
