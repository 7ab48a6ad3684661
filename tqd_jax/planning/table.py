"""What was found, in lines for a terminal and as JSON."""
import dataclasses
import json
from collections.abc import Sequence

from tqd_jax.config import Config, compared_law
from tqd_jax.planning.answer import Planning
from transfer_jax.runtime.counts import counted

HEADER = ('topology', 'bucket', 'mesh, remat', 'GiB', 'of', 'step', 'steps/h', 'hours', 'cost')
UNKNOWN = ("Memory is XLA's analysis for CPUs that stand for GPUs. It cannot know a GPU's fusions, the workspace of cuDNN and cuBLAS, "
           "CUDA's own memory and what the allocator loses; attention is counted as the online softmax, not as cuDNN's kernel.")
NAMES = {'sample': 'a sample', 'vae_encode': 'the VAE, encoding', 'vae_decode': 'the VAE, decoding', 'text': 'UMT5, a caption'}


def lines(found: Sequence[Planning], config: Config, price: float | None) -> list[str]:
    """A table, a line about each topology, and what was assumed."""
    table = [HEADER, *(row for one in found for row in rows(one, config, price))]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    aligned = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return ['', *aligned, '', *(line for one in found for line in notes(one, config)), *assumptions(found)]


def rows(one: Planning, config: Config, price: float | None) -> list[tuple[str, ...]]:
    """Rows of the table as text: a bucket of training each, then the programs beside it."""
    there = f'{one.topology.hbm:.2f}'
    found = [(one.topology.name, 'x'.join(map(str, bucket)), str(one.training.best.candidate), *_memory(one.training.best.memory[number]),
              *_time(one, number, config, price)) for number, bucket in enumerate(one.training.buckets)] if one.training else []
    found += [(one.topology.name, NAMES[beside.name], '', _gib(beside.memory), f'{beside.seconds:.0f} s a clip' if beside.seconds else '',
               '', '', '') for beside in one.beside]
    return [(*row[:4], there, *row[4:]) for row in found]


def _memory(memory):
    return ('not compiled',) if memory is None else (_gib(memory),)


def _gib(memory):
    return f'{memory.whole:.2f}' + (' (refused)' if memory.refused else '')


def _time(one, number, config, price):
    """Seconds of a step of the bucket, and of all buckets in equal shares steps an hour, hours and cost; nothing where it does not fit."""
    if not one.training.best.fits:
        return f'lacks {one.training.over:.2f} GiB', '', '', ''
    hours = hours_of(one, config)
    cost = '' if price is None else f'${hours * one.topology.chips * price:,.0f}'
    return f'{one.training.best.times[number].step:.2f} s', f'{3600 / one.training.best.step:,.0f}', f'{hours:.1f}', cost


def hours_of(one: Planning, config: Config) -> float:
    """Hours of config.train.steps, buckets in equal shares, without what is not a step; twice with config.compare."""
    runs = 1 if compared_law(config) is None else 2
    return runs * config.train.steps * one.training.best.step / 3600


def notes(one: Planning, config: Config) -> list[str]:
    """What is to be said of one topology."""
    training, found = one.training, []
    if training and training.batch != config.train.batch:
        found.append(f'{one.topology.name}: config.train.batch = {config.train.batch} does not spread over '
                     f'{counted(one.topology.devices, "device")}; planned for the least that does, {training.batch}')
    if training and not training.best.fits:
        found.append(f'{one.topology.name}: nothing fits. The least that was compiled needs {training.best.need:.2f} GiB a device of '
                     f'{one.topology.hbm:.2f}, {training.over:.2f} too many ({training.best.candidate})')
    found += [f'{one.topology.name}: {NAMES[beside.name]} needs {beside.memory.whole:.2f} GiB a device of {one.topology.hbm:.2f}, '
              f'{beside.memory.whole - one.topology.hbm:.2f} too many' for beside in one.beside if not beside.fits]
    return found


def assumptions(found: Sequence[Planning]) -> list[str]:
    """Where sizes, memory and times come from; each said once."""
    said = [f'Sizes: {one.training.source}.' for one in found if one.training]
    for one in found:
        chip = one.topology.chip
        of = 'as given' if one.own else f'{"measured on it" if chip.measured else "assumed, measured elsewhere"}: {chip.published}'
        said.append(f'Time on {chip.name}: {100 * one.mfu:.1f} % of {chip.flops / 1e12:.0f} TFLOP/s by FLOPs without recomputation ({of}); '
                    'memory and links at their nominal rates, all three at once.')
    said.append(UNKNOWN if any(one.stands_in for one in found) else
                'Memory: what the compiler lays out, a sum that the chip may reuse in part. Nothing was run.')
    return list(dict.fromkeys(said))


def as_json(found: Sequence[Planning], config: Config, price: float | None) -> str:
    """All that was found."""
    record = {'steps': config.train.steps, 'price': price, 'assumptions': assumptions(found), 'topologies': []}
    for one in found:
        training = one.training
        predicted = {'step_seconds': training.best.step, 'steps_an_hour': 3600 / training.best.step, 'hours': hours_of(one, config),
                     'lacking_gib': training.over} if training else {}
        if training and price is not None:
            predicted['cost'] = predicted['hours'] * one.topology.chips * price
        record['topologies'].append({**dataclasses.asdict(one), 'hbm': one.topology.hbm, 'devices': one.topology.devices, **predicted})
    return json.dumps(record, indent=1) + '\n'
