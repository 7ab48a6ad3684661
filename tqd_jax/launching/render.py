"""Files of a place from templates: scripts, a JobSet, a batch file, a notebook."""
import json
import shlex

import jinja2

from tqd_jax.launching.chips import IMAGES, slice_of
from tqd_jax.launching.flags import environment, flags_of
from tqd_jax.launching.job import command

FILES = {  # place -> {name of the file: its template}
    'tpu_vm': {'slice.sh': 'slice.sh.j2', 'host.sh': 'host.sh.j2'},
    'queued': {'slice.sh': 'slice.sh.j2', 'host.sh': 'host.sh.j2'},
    'mig': {'group.sh': 'group.sh.j2', 'host.sh': 'host.sh.j2'},
    'gke': {'jobset.yaml': 'jobset.yaml.j2', 'cluster.sh': 'cluster.sh.j2', 'Dockerfile': 'Dockerfile.j2'},
    'slurm': {'job.sbatch': 'job.sbatch.j2'},
    'colab': {'job.ipynb': 'notebook.py.j2'},
}
CELL = '# %%'  # where a cell of the notebook's template starts


def render(config) -> dict[str, str]:
    """{name: text} of the files of a checked Launch."""
    environment_ = jinja2.Environment(loader=jinja2.PackageLoader('tqd_jax.launching'), undefined=jinja2.StrictUndefined, trim_blocks=True,
                                      lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    environment_.filters |= {'quote': shlex.quote, 'join_quoted': shlex.join, 'python': repr}
    values = values_of(config)
    texts = {name: environment_.get_template(template).render(values) for name, template in FILES[config.place].items()}
    return {name: notebook(text) if name.endswith('.ipynb') else text for name, text in texts.items()}


def values_of(config) -> dict:
    """What templates see: the config, the slice, the environment with its reasons, and the command's words."""
    slice_ = slice_of(config.chip)
    zone, words = config.google.zone or '', command(config.job)
    places = ' '.join((*words, config.code.source or '', *(where for where, _ in config.code.copies)))  # where the job reads and writes
    return {'config': config, 'slice': slice_, 'command': words, 'places': places, 'images': IMAGES, 'region': zone.rpartition('-')[0],
            'environment': environment(slice_) if config.flags else {}, 'flags': flags_of(slice_) if config.flags else ()}


def notebook(text) -> str:
    """A notebook of the cells of a text, each after a line that starts with CELL; `# %% [markdown]` starts one of prose."""
    cells = []
    for part in text.split(f'{CELL}')[1:]:
        head, _, body = part.partition('\n')
        prose = '[markdown]' in head
        cell = {'cell_type': 'markdown' if prose else 'code', 'id': f'cell-{len(cells)}', 'metadata': {},
                'source': body.strip().splitlines(keepends=True)}
        cells.append(cell if prose else cell | {'execution_count': None, 'outputs': []})
    kernel = {'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}}
    return json.dumps({'cells': cells, 'metadata': kernel, 'nbformat': 4, 'nbformat_minor': 5}, indent=1) + '\n'
