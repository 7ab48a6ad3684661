"""The section on growing samples: whether the realised KL tends to its prediction, and whether UOWQ's weights are optimal."""
import numpy as np

from benchmarks.studies.theory.pictures import NAMES, of
from benchmarks.studies.theory.sections.common import CLEAR, off, percent, table

TABLE_WAYS = ('UOWQ', 'OTQMS', 'none', 'all')


def growth(records):
    """Realised over predicted KL as N0 / d grows, and whether it is smallest at UOWQ's weights."""
    cases = of(records, 'growth')
    ratios = sorted({record['ratio'] for record in cases})
    lines = ['## Realised over predicted KL as N grows', '',
             'Per cent above the prediction; 3 sources of 4 N0 samples, N0 G_kk = 0.1, 0.63, 4. '
             'Where (n) follows, n refits of target only had no fit, since its classes could be separated: they are left out.', '']
    for way in TABLE_WAYS:
        lines += [f'### {way}', '', *table(('model', 'd', *(f'N0 = {ratio} d' for ratio in ratios)), growth_rows(cases, way, ratios))]
    study_ratios = {record['ratio'] for record in cases if record['sources'] != 3}
    rows = [(NAMES[r['model']], r['sources'], r['ratio'], *(percent(*off(r, way)) for way in TABLE_WAYS)) for r in cases
            if r['d'] == 20 and r['ratio'] in study_ratios]
    lines += ['### Other numbers of sources, d = 20', '', *table(('model', 'K', 'N0 / d', *TABLE_WAYS), rows)]
    return [*limit_claims(cases, ratios), slope_claim(cases), minimum_claim(cases)], lines


def growth_rows(cases, way, ratios):
    """A row a model and dimension, a cell a ratio."""
    own = {(r['model'], r['d'], r['ratio']): r for r in cases if r['sources'] == 3}
    cell = lambda r: percent(*off(r, way)) + (f' ({r["ways"][way]["failed"]})' if r['ways'][way]['failed'] else '')
    return [(NAMES[model], d, *(cell(own[model, d, ratio]) for ratio in ratios))
            for model, d in dict.fromkeys(key[:2] for key in own) if all((model, d, ratio) in own for ratio in ratios)]


def limit_claims(cases, ratios):
    """How far regressions are off at the lowest and the highest ratio, and whether Gaussian means are off at all."""
    def worst(ratio, way):
        return max(abs(off(r, way)[0]) for r in regressions if r['ratio'] == ratio)
    def numbers(ratio):
        return 'K = ' + ', '.join(str(k) for k in sorted({r['sources'] for r in regressions if r['ratio'] == ratio}))
    exact = [off(r, way) for r in cases if r['model'] == 'mean' for way in TABLE_WAYS]
    regressions = [r for r in cases if r['model'] != 'mean']
    if regressions:
        error_text = ', '.join(f'{100 * worst(ratios[-1], way):.1f} % {way}' for way in TABLE_WAYS)
        before = ', '.join(f'{100 * worst(ratios[0], way):.0f} % {way}' for way in TABLE_WAYS)
        close = max(worst(ratios[-1], way) for way in ('UOWQ', 'OTQMS')) < 0.05
        yield ('realised KL at UOWQ\'s weights and OTQMS\' quantities tends to d/2 F', 'holds within 5 %' if close else 'not within 5 %',
               f'regressions at N0 = {ratios[-1]} d ({numbers(ratios[-1])}) are off by at most {error_text}; '
               f'at N0 = {ratios[0]} d ({numbers(ratios[0])}) by {before}')
    if exact:
        far = sum(abs(mean) > CLEAR * error for mean, error in exact)
        yield ('a Gaussian mean obeys d/2 F at any N', 'holds' if far <= 0.01 * len(exact) + 1 else 'does not hold',
               f'{far} of {len(exact)} figures are off by more than {CLEAR} standard errors')


def slope_claim(cases, min_ratio=20):
    """How fast the error of target only falls: the slope of log error over log N0 from N0 = 20 d on, of clear errors only."""
    claim, slopes = f'target only\'s error falls as 1/N from N0 = {min_ratio} d on', []
    for key in dict.fromkeys((r['model'], r['d']) for r in cases if r['model'] != 'mean'):
        points = [(r['ratio'], *off(r, 'none')) for r in cases if (r['model'], r['d'], r['sources']) == (*key, 3)
                  and r['ratio'] >= min_ratio]
        points = [(ratio, mean) for ratio, mean, error in points if mean > 2 * error > 0]
        if len(points) > 2:
            slopes.append(float(np.polyfit(*np.log(points).T, 1)[0]))
    if not slopes:
        return claim, 'undecided', 'too few ratios'
    return (claim, 'holds' if -1.3 < min(slopes) and max(slopes) < -0.7 else 'does not hold',
            f'slopes {min(slopes):.2f} to {max(slopes):.2f} over {len(slopes)} lines, median {np.median(slopes):.2f}')


def minimum_claim(cases):
    """Whether halving or doubling UOWQ's weights costs, as predicted."""
    costs = [r['ways'][way]['above UOWQ'] for r in cases for way in ('half', 'double')]
    dear, cheap = (sum(sign * mean > CLEAR * error for mean, error in costs) for sign in (1, -1))
    verdict = f'not in {cheap} of {len(costs)}' if cheap else 'holds' if dear > len(costs) / 2 else 'undecided'
    return ('KL is less at UOWQ\'s weights than at half and at double of them', verdict,
            f'{dear} of {len(costs)} clearly cost, {cheap} clearly gain')
