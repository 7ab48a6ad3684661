"""Windows that cannot be encoded, remembered in the cache by their keys, so that another start does not try them again."""
import contextlib
import json
import os

from tqd_jax.clips.content import content_id, content_number
from tqd_jax.clips.places import as_local
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import is_remote, make_folder, path_of

FAILED = 'failed.jsonl'


def read_failed(cache: os.PathLike | str) -> dict[bytes, str]:
    """{key: the reason} of the windows that a cache remembers; lines that a killed process left torn are passed over."""
    try:
        lines = (path_of(cache) / FAILED).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    failed = {}
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            record = json.loads(line)
            failed[bytes.fromhex(record['key'])] = str(record['reason'])
    return failed


def add_failed(cache: os.PathLike | str, key: bytes, *, clip: str, window: int, reason: str) -> None:
    """Adds a line to the file, which any number of processes write; clip, window: for a person.

    Where it cannot be written nothing is: it is only a memory, and the next start tries the window again.
    """
    line = json.dumps({'key': bytes(key).hex(), 'clip': clip, 'window': window, 'reason': reason}).encode()
    path = path_of(cache) / FAILED
    with contextlib.suppress(OSError):
        if is_remote(path):  # nothing can be appended there; of two that do this at once, one is tried again some day
            write_atomically(path, (path.read_bytes() if path.exists() else b'') + line + b'\n')
            return
        make_folder(path.parent)
        with open(path, 'a+b') as file:
            file.write((b'' if _ends_whole(file) else b'\n') + line + b'\n')


def is_scored_content(clip: str, content: int) -> bool:
    """Whether a file has the content, uint64, that its row was made of: a fault of another, such as a copy under way, is not remembered."""
    try:
        return content_number(content_id(as_local(clip))) == int(content)
    except OSError:
        return False


def _ends_whole(file):
    """Whether a file is empty or ends with a whole line."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return True
    file.seek(size - 1)
    return file.read(1) == b'\n'
