"""What was found, as files: plan.json, a picture of memory and time by part, and a page."""
import io
import pathlib
from collections.abc import Sequence

from matplotlib.figure import Figure

from tqd_jax.config import Config
from tqd_jax.planning.answer import Planning
from tqd_jax.planning.table import HEADER, as_json, assumptions, notes, rows
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.page import Page

MEMORY = ('arguments', 'temporaries', 'results')
TIME = {'compute': 'products', 'memory': 'HBM', 'links': 'links', 'network': 'network', 'host': 'host'}
LABEL = 'GiB a device by part against what the device has, and seconds of a step by part, for every topology and bucket'


def write_all(found: Sequence[Planning], config: Config, price: float | None, folder: pathlib.Path) -> None:
    """Writes plan.json, plan.png, plan.svg and plan.html to the folder."""
    write_atomically(folder / 'plan.json', as_json(found, config, price).encode())
    for kind in ('png', 'svg'):
        buffer = io.BytesIO()
        picture(found).savefig(buffer, format=kind, dpi=150)
        write_atomically(folder / f'plan.{kind}', buffer.getvalue())
    page_of(found, config, price).write(folder / 'plan.html')


def page_of(found: Sequence[Planning], config: Config, price: float | None) -> Page:
    """The table, the picture and what was assumed."""
    page = Page('Plan of a training run', 'Compiled for chips that are not here; times are predicted.')
    page.section('What it needs and takes')
    page.table([row for one in found for row in rows(one, config, price)], HEADER)
    page.figure(picture(found), 'Memory by part, the line is what a device has; time by part, a step takes the longest.', LABEL)
    for line in [line for one in found for line in notes(one, config)] + assumptions(found):
        page.text(line)
    return page


def picture(found: Sequence[Planning]) -> Figure:
    """Memory and time by part: a bar for each topology and bucket, or program beside training."""
    bars = [bar for one in found for bar in _bars(one)]
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(bars)), layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True)
    _memory(left, bars)
    _time(right, bars)
    left.set_yticks(range(len(bars)), [name for name, *_ in bars])
    left.invert_yaxis()
    return figure


def _bars(one):
    """(name, Memory or None, GiB that there are, Times or None)."""
    found = []
    if one.training:
        best = one.training.best
        found = [(f'{one.topology.name}\n{"x".join(map(str, bucket))}', best.memory[number], one.topology.hbm, best.times[number])
                 for number, bucket in enumerate(one.training.buckets)]
    return found + [(f'{one.topology.name}\n{beside.name}', beside.memory, one.topology.hbm, None) for beside in one.beside]


def _memory(axes, bars):
    start = [0.0] * len(bars)
    for part in MEMORY:
        sizes = [0.0 if memory is None else getattr(memory, part) for _, memory, *_ in bars]
        axes.barh(range(len(bars)), sizes, left=start, label=part, height=0.6)
        start = [begin + size for begin, size in zip(start, sizes, strict=True)]
    refused = [memory.whole if memory is not None and memory.refused else 0.0 for _, memory, *_ in bars]
    if any(refused):
        axes.barh(range(len(bars)), refused, label='refused', height=0.6, color='tab:red')
    for row, (_, _, there, _) in enumerate(bars):
        axes.plot([there, there], [row - 0.4, row + 0.4], color='black')
    axes.set_xlabel('GiB a device')
    axes.legend(loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def _time(axes, bars):
    height = 0.8 / len(TIME)
    for number, (part, label) in enumerate(TIME.items()):
        rows = [(row, getattr(times, part)) for row, (*_, times) in enumerate(bars) if times is not None]
        if any(seconds for _, seconds in rows):
            axes.barh([row + (number - 2) * height for row, _ in rows], [seconds for _, seconds in rows], height=height, label=label)
    axes.set_xlabel('seconds of a step')
    if axes.patches:
        axes.legend(loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
