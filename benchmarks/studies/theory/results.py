"""The files of the theory study: theory.json of all cases, and the page and pictures that show them."""
import json
import os

from benchmarks.studies.pages.figures import save
from benchmarks.studies.pages.files import read_results
from benchmarks.studies.theory.page import page
from benchmarks.studies.theory.pictures import pictures
from transfer_jax.runtime.files import write_atomically


def write(results, images, settings, flags, records):
    """Writes theory.json and theory.md into the folder results, pictures into images; returns the page's path.

    settings: of the study. flags: {key: value} of the config that the command line named. records: {name: record} of every case.
    """
    for folder in (results, images):
        folder.mkdir(parents=True, exist_ok=True)
    cases = ',\n'.join(f'{json.dumps(name)}: {json.dumps(record)}' for name, record in records.items())
    text = f'{{"settings": {json.dumps(settings)}, "flags": {json.dumps(flags)}, "cases": {{\n{cases}\n}}}}\n'
    write_atomically(results / 'theory.json', text.encode())
    return rewrite(results, images)


def rewrite(results, images):
    """Writes theory.md and its pictures from theory.json; returns the page's path."""
    saved, links = read_results(results / 'theory.json'), {}
    for name, figure in pictures(saved['cases']).items():
        save(figure, images / f'theory_{name}.png')
        links[name] = os.path.relpath(images / f'theory_{name}.png', results)
    lines = page(saved['settings'], saved['cases'], links, saved['flags'])
    write_atomically(results / 'theory.md', ('\n'.join(lines) + '\n').encode())
    return results / 'theory.md'
