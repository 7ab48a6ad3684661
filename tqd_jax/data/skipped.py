"""skipped.jsonl: the clips that a run does not use, and why."""
import json

from transfer_jax.runtime.files import write_atomically


def add_skipped(path, clips):
    """Adds lines {'clip', 'reason'} to the file, but for those that it has; whole or not at all."""
    text = path.read_text() if path.exists() else ''
    there = set(text.splitlines())
    lines = [line for line in map(json.dumps, clips) if line not in there]
    write_atomically(path, (text + ''.join(f'{line}\n' for line in lines)).encode())
