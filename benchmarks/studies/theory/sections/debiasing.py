"""The section on debiasing: what the raw, the debiased and the true Gram matrix are worth."""
import numpy as np

from benchmarks.studies.theory.pictures import NAMES, of
from benchmarks.studies.theory.sections.common import CLEAR, table


def debiasing(records):
    """What the raw, the debiased and the true G are worth."""
    cases, claims = of(records, 'debiasing'), []
    names = list(cases[0]['over none'])[1:]
    runs = lambda r: f'{r["runs"]} ({r["dropped"]} without a fit left out)' if r['dropped'] else r['runs']
    rows = [(NAMES[r['model']], r['d'], r['scenario'], runs(r), *('{:.3f} ± {:.3f}'.format(*r['over none'][name]) for name in names))
            for r in cases]
    case = lambda r: f'{NAMES[r["model"]]}, d {r["d"]}, {r["scenario"]}'
    for method in ('UOWQ', 'OTQMS'):
        raw, debiased = (np.array([r['over oracle'][f'{method} {gram}'][0] for r in cases]) for gram in ('raw', 'debiased'))
        worse = [f'{case(r)} ({a:.3f}, raw {b:.3f})' for r, a, b in zip(cases, debiased, raw, strict=True) if a >= b]
        claims.append((f'debiasing G brings {method} nearer to the oracle', f'in {len(cases) - len(worse)} of {len(cases)}',
                       f'KL over the oracle\'s: raw {np.median(raw):.2f} (median; at most {raw.max():.2f}), debiased '
                       f'{np.median(debiased):.2f} (at most {debiased.max():.2f}); not: {"; ".join(worse) or "none"}'))
        over = [r['over none'][f'{method} debiased'] for r in cases]
        bad = [case(r) for r, (mean, error) in zip(cases, over, strict=True) if mean > 1 + CLEAR * error]
        claims.append((f'{method} with the debiased G is no worse than target only',
                       f'not in {len(bad)}: {"; ".join(bad)}' if bad else 'holds',
                       f'at most {max(mean for mean, _ in over):.3f} of its KL'))
    lines = ['## Debiasing', '', 'KL over target only\'s (paired): 5 sources of 10 N0 samples, N0 = 20 d. N0 G_kk: identical 0; one good '
             'four bad 0 and 20; graded 0.2 to 8; all bad 90. G is estimated from the fits to every domain alone, with J at the target\'s, '
             'and the same samples are fitted again. Where all are bad there is little to gain, and regressions lose a little. '
             'More scenarios and estimators: [debiasing.md](debiasing.md).', '',
             *table(('model', 'd', 'scenario', 'runs', *names), rows)]
    return claims, lines
