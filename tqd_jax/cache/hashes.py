"""Hashes of files of weights, remembered in the cache while a file's path, size and time of change stay."""
import hashlib
import json
import os
from collections.abc import Iterable

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import replace_atomically
from transfer_jax.runtime.paths import make_folder, path_of

FILE = 'hashes.json'


def weights_hash(paths: Iterable[os.PathLike | str], cache: os.PathLike | str) -> str:
    """SHA-256 of the contents of files, hexadecimal, whatever their names and order; of one file its own SHA-256.

    cache: the folder whose FILE remembers them, each by path, size and time of change. Raises UserError where a file cannot be read.
    """
    memory = path_of(cache) / FILE
    before = _read(memory)
    hashes = {}
    for path in paths:
        name = _name(path)
        hashes[name] = before.get(name) or _sha256(path)
    if not hashes:
        raise ValueError('the hash of no files')
    if any(name not in before for name in hashes):
        make_folder(memory.parent)
        text = json.dumps(_read(memory) | hashes, indent=1).encode()
        replace_atomically(memory, lambda part: part.write_bytes(text), concurrent=True)
    contents = sorted(hashes.values())
    return contents[0] if len(contents) == 1 else hashlib.sha256(''.join(contents).encode()).hexdigest()


def _name(path):
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}') from error
    return f'{os.path.realpath(path)} {status.st_size} {status.st_mtime_ns}'


def _sha256(path):
    try:
        with open(path, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}') from error


def _read(memory):
    """What the file remembers; {} where it is not there or damaged: it is only a memory."""
    try:
        return dict(json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        return {}
