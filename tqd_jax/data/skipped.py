"""Lists of what a run does not use, or not whole, as JSON lines: skipped.jsonl of clips, cut_captions.jsonl."""
import json

from transfer_jax.runtime.files import write_atomically


def add_lines(path, items):
    """Adds a line for each dict to the file, but for those that it has; whole or not at all, and without items the file stays."""
    if not items:
        return
    text = path.read_text() if path.exists() else ''
    there = set(text.splitlines())
    lines = [line for line in map(json.dumps, items) if line not in there]
    write_atomically(path, (text + ''.join(f'{line}\n' for line in lines)).encode())
