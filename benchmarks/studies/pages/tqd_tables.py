"""Tables of study 1's page: verdicts on claims, means of all arms, differences, and whether training was long enough."""
import numpy as np

from benchmarks.studies.pages import page
from benchmarks.studies.pages.statistics import estimate, paired_difference, verdict
from benchmarks.studies.pages.tqd_values import MEASURES, SHORT, at, t_histogram, values

CLAIMS = (  # (text, arm, reference, measures)
    ('TQD on imbalanced clips (B) beats uniform training on all clips (A)', 'B tqd', 'A uniform',
     ('both', 'moves_right', 'motion', 'looks_right', 'texture', 'frechet', 'loss')),
    ('TQD on imbalanced clips (B) beats uniform training on golden clips (C) in motion', 'B tqd', 'C uniform',
     ('moves_right', 'motion', 'speeds')),
    ('TQD improves training on all clips (A)', 'A tqd', 'A uniform', SHORT),
    ('TQD improves training on golden clips (C)', 'C tqd', 'C uniform', SHORT),
    ('TQD improves training on imbalanced clips (B)', 'B tqd', 'B uniform', SHORT),
    ('Adaptive t with dropout beats adaptive t only', 'A tqd', 'A adaptive t only', SHORT),
    ('Adaptive t with dropout beats dropout only', 'A tqd', 'A dropout only', SHORT),
    ('The law\'s direction matters: TQD beats its reverse', 'A tqd', 'A reversed', SHORT),
    ('The same on imbalanced clips (B)', 'B tqd', 'B reversed', SHORT))
COLUMNS = ('in', 'difference', 'Student\'s interval', 'verdict')  # columns of a claim


def claims(results, regime):
    """The table of verdicts."""
    rows = []
    for text, arm, reference, keys in CLAIMS:
        if {arm, reference} <= set(results['arms']):
            for key in keys:
                rows.append(claim_row(text, key, values(results, regime, arm, key), values(results, regime, reference, key)))
    return page.table(['claim', *COLUMNS], rows)


def claim_row(text, key, own, reference):
    """A row: the text, the measure, the paired difference of its values [seeds], and whether they are better than the reference's."""
    title, sign, digits = MEASURES[key]
    difference = paired_difference(own, reference)
    return [text, title, page.cell(difference, digits, sign=True), page.student(difference, digits), verdict(difference, sign)]


def main_table(results, regime):
    """Means and intervals of all arms, and where their t lie."""
    cells = lambda arm: [page.cell(estimate(values(results, regime, arm, key)), digits) for key, (_, _, digits) in MEASURES.items()]
    rows = [[arm, *cells(arm), coverage(results, regime, arm)] for arm in results['arms']]
    return page.table(['arm', *(title for title, _, _ in MEASURES.values()), 't < 1/4, middle, > 3/4'], rows)


def coverage(results, regime, arm):
    """Shares of t in the lowest quarter, the middle half and the highest quarter."""
    quarters = t_histogram(results, regime, arm).reshape(4, -1).sum(1)
    low, middle, high = np.array([quarters[0], quarters[1:3].sum(), quarters[3]]) / quarters.sum()
    return f'{100 * low:.0f}, {100 * middle:.0f}, {100 * high:.0f} %'


def differences(results, regime, reference='A uniform'):
    """Paired differences of all arms to uniform training on A."""
    if reference not in results['arms']:
        return []
    difference = lambda arm, key: paired_difference(*(values(results, regime, one, key) for one in (arm, reference)))
    cells = lambda arm: [page.cell(difference(arm, key), MEASURES[key][2], sign=True) for key in SHORT]
    rows = [[arm, *cells(arm)] for arm in results['arms'] if arm != reference]
    return [f'Paired differences to {reference}:', '', *page.table(['arm', *(MEASURES[key][0] for key in SHORT)], rows)]


def late_start(results, others):
    """Arms from scratch against the same arms after uniform pre-training, where others have them with as many steps in all."""
    common = lambda one: {key: value for key, value in one['config'].items() if key not in ('pretrain', 'finetune', 'scratch', 'replicas')}
    steps = results['config']['scratch']
    late = [one for one in others if 'finetune' in one['regimes'] and common(one) == common(results) and one['seeds'] == results['seeds']
            and one['config']['pretrain'] + one['config']['finetune'] == steps]
    if 'scratch' not in results['regimes'] or not late:
        return []
    after = late[0]['config']['pretrain']
    rows = [claim_row(arm, key, values(late[0], 'finetune', arm, key), values(results, 'scratch', arm, key))
            for arm in results['arms'] if arm in late[0]['arms'] for key in SHORT[1:]]
    return ['## From the first step, or later?', '',
            f'{after} uniform steps on A and then {steps - after} of the arm (size {late[0]["size"]}) against {steps} of the arm: later is '
            'better', '', *page.table(['arm', *COLUMNS], rows), '']


def convergence(results):
    """Whether training was long enough: uniform training on golden clips, and the pre-training, by step."""
    lines = ['## Was training long enough?', '',
             'Uniform training on golden clips, and the pre-training on all, by step: means over seeds. How the steps of each '
             'size were chosen: configs/studies/table.py.', '']
    titles, digits, rows = [title for title, _, _ in MEASURES.values()], [digits for _, _, digits in MEASURES.values()], []
    if 'start' in results:  # the network adds nothing to it yet
        rows.append(['the linear guess', '0', *('—' for _ in titles[1:]), format_number(np.mean(results['start']), digits[-1])])
    for regime, arm in (('pretrain', 'A uniform'), *((regime, 'C uniform') for regime in results['regimes'])):
        own = [run['curve'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)]
        for points in zip(*own, strict=True):
            means = [np.mean([at(point, key) for point in points]) for key in MEASURES]
            rows.append([regime, str(points[0]['step']), *(format_number(mean, n) for mean, n in zip(means, digits, strict=True))])
    return [*lines, *page.table(['regime', 'step', *titles], rows)]


def true_table(results):
    """The measures of clips themselves."""
    keys = [key for key in MEASURES if key != 'loss']
    rows = [[name, *(format_number(measures[key], MEASURES[key][2]) for key in keys)] for name, measures in results['truth'].items()]
    return ['Measures of clips themselves, as many as a run has samples (distances of few clips to the reference are above 0):', '',
            *page.table(['clips', *(MEASURES[key][0] for key in keys)], rows)]


def format_number(value, digits):
    """A number's cell; a dash for None and NaN."""
    return '—' if value is None or np.isnan(value) else f'{value:.{digits}f}'
