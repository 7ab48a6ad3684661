"""The name of a file's content, whatever the file is called."""
import hashlib


def content_id(path):
    """Hex hash of a local file's bytes: one id for all copies of a clip."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()[:32]


def content_number(content):
    """The uint64 of a content id, as arrays of a library hold it."""
    return int(content[:16], 16)
