"""The first section of a transfer run's report: what the sources are worth, with intervals, verdicts and pictures."""
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from transfer_jax.experiment import plots
from transfer_jax.experiment.planned import summary_line, typical
from transfer_jax.knowledge import HARMS, HELPS, MUCH, NONE
from transfer_jax.runtime.page import Page

TEXT = (
    'Medians over seeds. Weight: of one sample of a source by UOWQ and G, where one of the target weighs 1. Worth: how many more samples '
    'of the target all of its samples are worth at this weight. Intervals are 95 % ones by the jackknife over folds of the target; they '
    'cover the truth less often than that where labels are few (docs/results/coverage.md has by how much). '
    'A source helps where its interval of '
    f'worth lies above {NONE:g} of the number of target samples. Where it lies below, the source harms if it alone, at full weight, has a '
    'larger predicted error than the target alone, and else adds nothing. Of all others the labels cannot tell. Verdicts are those of '
    'more than half of the seeds.')
COLOURS = {HELPS: plots.colour(2), HARMS: plots.colour(1)}


def add_plan(page: Page, results: Mapping[str, Any]) -> None:
    """Adds the section, where the results have a plan."""
    if not results.get('plan'):
        return
    page.section('What the sources are worth')
    page.text(TEXT)
    for target, plan in results['plan'].items():
        page.text(summary_line(target, plan) + '.')
        page.table(*rows(target, plan))
        if not plan['missing']:
            page.figure(picture(plan), f'{target}: what a source is worth, in samples of the target. Thick: medians over seeds; thin: '
                        f'every seed. Dashed: {NONE:g} of the target\'s samples, below which a source is of no account, and all of them.',
                        f'intervals of what each source is worth to {target}')


def rows(target: str, plan: Mapping[str, Any]) -> tuple[list[list[Any]], list[str]]:
    """(rows, header) of a target's table: a source a row, then all together."""
    known, sizes = typical(plan), np.array(plan['sizes'])
    header = [f'target {target}', 'samples', 'weight', '95 %', 'worth', '95 %', 'verdict']
    out = []
    for number, (name, size, weight) in enumerate(zip(plan['names'], sizes, known['weights'], strict=True)):
        pair = None if known['intervals'] is None else known['intervals'][number]
        worth = None if pair is None else pair * size
        out.append([name, int(size), in_short(weight), between(pair), f'{weight * size:.0f}', between(worth, '{:.0f}'.format),
                    known['verdicts'][number] if known['verdicts'] else ''])
    whole = ['all together', int(sizes.sum()), '', '', f'{known["worth"]:.0f}', between(known['interval'], '{:.0f}'.format), '']
    return [*out, whole], header


def in_short(weight: float) -> str:
    """A weight in two digits, 0 below 1e-4."""
    return f'{weight:.2g}' if weight >= 1e-4 else '0'


def between(pair: np.ndarray | None, form: Callable[[float], str] = in_short) -> str:
    """'0.1 to 0.4' of an interval; '' of None."""
    return '' if pair is None else f'{form(pair[0])} to {form(pair[1])}'


def picture(plan: Mapping[str, Any]) -> plots.Figure:
    """The intervals of worth in extra target samples, of all seeds and their medians."""
    known, sizes, own = typical(plan), np.array(plan['sizes']), plan['target_size']
    of_seeds = np.array([seed['intervals'] for seed in plan['seeds']]) * sizes[:, None]
    colours = [COLOURS.get(verdict, plots.colour(6)) for verdict in known['verdicts']]
    return plots.intervals(plan['names'], known['weights'] * sizes, known['intervals'] * sizes[:, None], of_seeds, colours,
                           'extra target samples', (NONE * own, MUCH * own))
