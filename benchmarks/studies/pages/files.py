"""The files of results: a JSON file of every size of a study, and the page of all that lie in a folder."""
import json

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically


def write_results(path, results):
    """Writes results, plain values, as JSON with seven digits of every float; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(rounded(results), allow_nan=False).encode())


def write_page(folder, study, target, intro, section):
    """Writes the page `target` of all files STUDY_*.json in the folder; returns its path.

    The page is the intro, then the lines section(results, stem, results of all files) of each file: a size that ran on another machine
    stays on the page. Raises UserError where a file cannot be read.
    """
    results = {path.stem: read_results(path) for path in sorted(folder.glob(f'{study}_*.json'))}
    lines = [intro, *(line for stem, one in results.items() for line in section(one, stem, list(results.values())))]
    write_atomically(folder / target, ('\n'.join(lines).rstrip() + '\n').encode())
    return folder / target


def read_results(path):
    """The results of one JSON file. Raises UserError where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f'{path} cannot be read ({error}), and the page shows all sizes that lie there; restore or remove it, then give '
                        'the same command again: nothing is trained anew') from None


def rounded(value):
    """Plain values with every float to seven digits, about what float32 has: files half as large."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return float(f'{value:.7g}') if isinstance(value, float) else value
