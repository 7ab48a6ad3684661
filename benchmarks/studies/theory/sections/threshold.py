"""The section on one source: up to which distance all of it is best, and how much of it beyond."""
from benchmarks.studies.theory.pictures import NAMES, of
from benchmarks.studies.theory.sections.common import CLEAR, percent, table


def threshold(records):
    """The single-source threshold."""
    cases, rows, wrong, sides = of(records, 'threshold'), [], [], []
    for r in cases:
        scale, base, ends = r['kl'][r['best']][0], r['predicted'][r['best']], (0, -1)
        lead = min(range(len(r['kl'])), key=lambda i, r=r: r['above'][i][0])
        difference, error = r['above'][lead]
        if difference < -CLEAR * error - 1e-9 * scale:
            wrong.append(f'{NAMES[r["model"]]}, N0 G = {r["distance"]}: {-100 * difference / scale:.2f} %')
        none, everything = (f'{percent(r["above"][i][0] / scale, r["above"][i][1] / scale)} ({100 * (r["predicted"][i] / base - 1):.1f})'
                            for i in ends)
        inside = r['closed'] < r['quantities'][-1]
        sides += [r['above'][-1][0] > CLEAR * r['above'][-1][1]] if inside else []
        rows.append((NAMES[r['model']], r['distance'], f'{r["closed"]:.3f}', f'{r["solved"]:.3f}', f'{r["quantities"][lead]:.3f}',
                     none, everything if inside else 'is n*'))
    claims = [('one source: all of it is best up to N0 G = 1/2, N0 / (2 N0 G - 1) beyond',
               f'not in {len(wrong)} of {len(cases)}' if wrong else 'holds',
               f'a quantity clearly better than n*: {"; ".join(wrong) or "none"}; '
               f'beyond the threshold, using all is clearly worse in {sum(sides)} of {len(sides)} cases')]
    lines = ['## The threshold of one source\'s quantity', '',
             f'd = 20, N0 = {cases[0]["ratio"]} d; one source of 20 N0 samples, so n* is all of them up to N0 G = 0.525. Realised least '
             f'at: the best of {len(cases[0]["quantities"])} quantities, in N0. none, all: KL above that at n*, in per cent, realised and '
             '(predicted).', '', *table(('model', 'N0 G', 'n* / N0', 'solver\'s', 'realised least at', 'none', 'all'), rows)]
    return claims, lines
