"""The page of benchmarks.scoring: tables of orderings and invariances, truth, speed and memory."""
import os
import platform
import statistics
import time

import av
import cv2
import numpy as np

from benchmarks.scoring.copies import KINDS, LARGEST, REMUXED
from benchmarks.scoring.damage_copies import SAME
from benchmarks.scoring.kind import CLIP, FINE, ROUNDING, STAYS, USUAL, VERBS
from tqd_jax.scoring.measures import MEASURES, VERSION

TOLERANCE = 0.05  # how far a measure may move, in shares of the spread
AXES = {'motion': 'motion', 'visual': 'visual quality'}  # of the two scores


def page(names, table, before, truth, seconds, peaks, args):
    """The page's lines. names [clips]; table and before: {copy: [clips] of rows}, by this scorer and, or {}, by an older one; the others as
    benchmarks.scoring makes them."""
    yield '# Scores of motion and visual quality: orderings, invariances, truth, speed\n'
    yield (f'`python -m benchmarks.scoring --clips=FOLDER --workdir=FOLDER --seconds={args.seconds:g}`, {time.strftime("%Y-%m-%d")}, '
           f'{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}, '
           f'PyAV {av.__version__}, scorer version {VERSION}.\n')
    yield (f'{len(names)} real clips, of each the first {args.seconds:g} s at no more than {LARGEST} pixels a shorter side, encoded at crf '
           f'{FINE}; copies at crf {USUAL}, those that must score the same at crf {FINE} or 12. The measures were made with these clips at '
           'hand, and the constants of visual quality with the rendered library of seed 0; the other seeds are fresh. Those of strokes, '
           'overlays and halos were chosen on these clips and their copies too, so the table is no test of them on fresh clips.\n')
    yield from orderings(names, table, before)
    yield from invariances(names, table)
    yield from agreement(truth)
    yield from costs(names, seconds, peaks)


def orderings(names, table, before):
    """A line for every score that a kind of copy must move, or leave, and the sums by group and score."""
    lines, right, older = [], {}, {}
    for kind in KINDS:
        for must in kind.musts:
            base, other, good = pairs(table, kind, must)
            right.setdefault((kind.group, must.score), []).append(good)
            was = pairs(before, kind, must)[2]
            older.setdefault((kind.group, must.score), []).append(was)
            ratio = np.median(np.nan_to_num(other) / np.maximum(np.nan_to_num(base), 1e-9))
            than = '' if must.than == CLIP else f', against *{must.than}*'
            lines.append(f'| {AXES.get(must.score, must.score)} | {kind.name}{than} | {VERBS[must.verb]} | '
                         f'{f"{was.sum()} | " if before else ""}{good.sum()} of {good.size} | '
                         f'{f"{ratio:.3f}" if ratio < 1e6 else ""} | {", ".join(names[~good])} |')
    yield '## A copy must score lower, higher, or no higher\n'
    yield (f'A score that must stay moves by no more than {STAYS:.0%} of the clips\' spread; one that must not rise rises by no more than '
           f'{ROUNDING:.0%} of itself, as encoding again does. A column that is null counts as 0. The aim is 97 % of each line.\n')
    if before:
        versions = {row.get('scorer_version') for rows in before.values() for row in rows}
        yield f'*Before* is scorer version {", ".join(sorted(versions))} on the same files; a column that it does not have counts as 0.\n'
    for key, goods in right.items():
        was = f'before {np.sum(older[key])}, ' if before else ''
        yield (f'- {key[0]}, {AXES.get(key[1], key[1])}: {was}{np.sum(goods)} of {np.size(goods)} pairs right, '
               f'{np.mean(np.concatenate(goods)):.1%}')
    yield f'\n| score | copy | must | {"before | " if before else ""}does | median copy / clip | does not |'
    yield f'|---|---|---|{"---|" if before else ""}---|---|---|'
    yield from lines


def pairs(table, kind, must):
    """The scores of the copies that a kind's are compared with, those of its own, and whether each pair is right [clips]; empty without."""
    base, other = (np.array([row.get(must.score) for row in table.get(key, [])], float) for key in (must.than, kind.name))
    return base, other, must.holds(base, other) if table else np.zeros(0, bool)


def invariances(names, table):
    """A line for every measure and kind of copy that must leave it alone."""
    yield '\n## A copy must score the same\n'
    yield (f'How far each measure moves, in shares of the clips\' spread (5th to 95th percentile; where that is 0, the whole range). '
           f'Aim: below {TOLERANCE:.0%}. Half the size and every second frame must leave motion alone, not visual quality. '
           '`repeated` describes the file, not its pictures: dropping frames may change it.\n')
    yield '| measure | copy | below 5 % | median | 90th percentile | maximum |\n|---|---|---|---|---|---|'
    axes = AXES | {measure.name: measure.axis for measure in MEASURES}
    for name, axis in axes.items():
        for copy in (REMUXED, *(SAME if axis == 'motion' else ['encoded again'])):
            moved = moves(table, name, copy)
            if moved is not None:
                worst = np.argsort(-moved)[0]
                maximum = f'{names[worst]} {moved[worst]:.0%}' if moved[worst] >= TOLERANCE else f'{moved[worst]:.1%}'
                yield (f'| {name} | {copy} | {np.sum(moved < TOLERANCE)} of {moved.size} | {np.median(moved):.1%} | '
                       f'{np.percentile(moved, 90):.1%} | {maximum} |')


def moves(table, name, copy):
    """|copy - clip| over the clips' spread [clips], NaN-free: a clip without the measure has not moved; None where no clip has it."""
    clip, other = (np.array([row[name] for row in table[key]], float) for key in ('clip', copy))
    finite = clip[np.isfinite(clip)]
    if not finite.size:
        return None
    spread = np.subtract(*np.percentile(finite, [95, 5])) or np.ptp(finite) or 1.0
    return np.nan_to_num(np.abs(other - clip) / spread)


def agreement(truth):
    """Rank correlations with the rendered truth."""
    yield '\n## The rendered library\n'
    yield 'Spearman correlation with the known truth; the aims are .95 for motion and .9 for visual quality.\n'
    yield '| seed | clips | motion | visual quality |\n|---|---|---|---|'
    for seed, (motion, visual, count) in truth.items():
        yield f'| {seed} | {count} | {motion:.3f} | {visual:.3f} |'


def costs(names, seconds, peaks):
    """The time of scoring against that of the decoder, and memory."""
    ratios = [scoring / decoding for scoring, decoding in seconds]
    scoring, decoding = (statistics.median(column) for column in zip(*seconds, strict=True))
    yield '\n## Cost\n'
    yield (f'The {len(names)} files as they are (up to 4K), default settings: scored in {scoring:.1f} s, {len(names) / scoring:.2f} clips '
           f'a second; the same frames decoded and thrown away in {decoding:.1f} s, as many processes for each and their start included: '
           f'{statistics.median(ratios):.2f} times the decode (rounds: {", ".join(f"{r:.2f}" for r in ratios)}); the aim is 2.5.\n')
    yield ('Peak memory of the process that stores and writes the rows: '
           + ', '.join(f'{peak:.0f} MB at {count} clips' for count, peak in peaks.items()) + '.')
