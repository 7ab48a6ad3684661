"""The page of study 1, docs/results/tqd.md: claims and tables of every size whose JSON lies beside it; each number is from there."""
import numpy as np

from benchmarks.studies.pages import files, page
from benchmarks.studies.pages.statistics import estimate, paired, verdict
from benchmarks.studies.pages.tqd_pictures import draw_pictures, draw_samples, pictures
from benchmarks.studies.pages.tqd_values import MEASURES, SHORT, at, drawn, values
from benchmarks.studies.training.arms import ARMS

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
JUDGED = ('in', 'difference', 'Student\'s interval', 'verdict')  # columns of a claim
INTRO = """# Timestep-aware quality decoupling, arm by arm

Clips of a rendered world whose truth is known (`benchmarks/studies/world/world.py`): sprites over textured ground; a clip moves well or
hardly, looks well or is blurred, noisy, coarse or blocky, and the two correlate negatively. Sets: A all clips, B those good at one thing
only, C those good at both. Arms train for equal steps on equal numbers of clips. tqd is adaptive t with dropout (arXiv 2603.25527,
kappa_max 8); reversed takes motion for look and look for motion, a control; offset moves logit(t) by 1.1 (arXiv 2607.21553), min noise
bounds t from below (arXiv 2506.10038). finetune: every arm goes on from one uniform pre-training on A for its seed; scratch: from fresh
weights.

Samples of the captions of held-out golden clips are measured against the truth (`benchmarks/studies/measures/measures.py`): *moves right*
and *looks right* are shares of samples as true golden clips are (95 % of these pass each), *both* of those right in both. The tracked
sprites' graded measures: *motion*, 0 to 1, how straight their path is, times how near their speed comes to the range of true golden clips;
*sharpness*, 0 to 1, of their edges; *texture*, -1 to 1, correlation with the pattern that they should have; *identity*, the share of
samples in which the captioned sprite, of all thirty, matches best. *Fréchet*: squared distance of features of a small network to true
golden clips; *speed distance*: Wasserstein-1, in diagonals a second; *loss on golden*: mean over noise of the validation loss. Less is
better for these three.

In brackets: percentile bootstrap over seeds, 95 % nominal. Of five seeds it covers less than it says (83 % for normal differences), so
a claim *holds* or *is refuted* only where Student's interval of the paired difference agrees; else it is *undecided*. Nothing is
corrected for the number of rows: of every twenty that are not so, one would still be decided. Seeds vary weights, draws, noise and
samples; the library is one. Where shares are all 0, training was too short to pass the bars, and only the graded measures (motion,
texture, distances, loss) tell arms apart. All arms, all seeds, every measure: the JSON beside this page.

Rerun with the same seeds, sizes, machine and versions, a run gives the same record to the last bit. On another machine
rounding differs, and a training follows it: expect differences within the intervals over seeds."""


def write_page(folder, results, samples):
    """Writes tqd_SIZE.json, its pictures, and tqd.md of all sizes in the folder; returns the page's path.

    results: as table.main has them. samples: {(regime, arm): uint8 [n, F, H, W, 3]}.
    """
    files.write_results(folder / f'tqd_{results["size"]}.json', results)
    draw_samples(folder, results, samples)
    return rewrite(folder)


def rewrite(folder):
    """Writes tqd.md and its pictures, but for samples, from the JSON files in the folder; returns the page's path."""
    def section_of(results, stem, others):
        draw_pictures(folder, results)
        return section(results, others)
    return files.write_page(folder, 'tqd', 'tqd.md', INTRO, section_of)


def section(results, others):
    """Lines of one size; others: what all sizes found, to set it beside."""
    size, runs = results['config'], results['runs']
    kinds = ', '.join(f'{100 * share:.1f} % {kind.replace("_", " ")}' for kind, share in results['library'].items())
    lines = ['', f'# Size {results["size"]}', '',
             f'`{command(results)}`', '',
             f'{results["machine"]}; {sum(run["seconds"] for run in runs) / 60:.0f} minutes of training and measuring. '
             f'{size["clips"]} clips of {size["frames"]} frames, {size["size"]} x {size["size"]}: {kinds}; correlation of motion and look '
             f'{results["correlation"]:.2f}. {size["layers"]} layers, {size["heads"]} heads of {size["head_dim"]}, {size["batch"]} clips a '
             f'step; steps: {steps_of(results)}. '
             f'{len(results["seeds"])} seeds, {size["samples"]} samples each.']
    for regime in results['regimes']:
        lines += ['', f'## {results["size"]}, {regime}', '', *claims(results, regime), '', *main_table(results, regime), '',
                  *differences(results, regime), '', *pictures(results, regime)]
    return [*lines, '', *late_start(results, others), *convergence(results), '', *true_table(results)]


def command(results):
    """The command that makes the results, but for the work directory."""
    known = {'size': results['size'], 'regimes': tuple(results['regimes']), 'seeds': tuple(results['seeds'])} | (
        {} if set(results['arms']) == set(ARMS) else {'arms': tuple(results['arms'])})
    return page.command('study_table', results, known)


def steps_of(results):
    """'fine-tuning 4000 after pre-training 16000, from scratch 2000', as far as they were run."""
    size = results['config']
    texts = {'finetune': f'fine-tuning {size["finetune"]} after pre-training {size["pretrain"]}',
             'scratch': f'from scratch {size["scratch"]}'}
    return ', '.join(texts[regime] for regime in results['regimes'])


def claims(results, regime):
    """The table of verdicts."""
    rows = []
    for text, arm, reference, keys in CLAIMS:
        if {arm, reference} <= set(results['arms']):
            for key in keys:
                rows.append(judged(text, key, values(results, regime, arm, key), values(results, regime, reference, key)))
    return page.table(['claim', *JUDGED], rows)


def judged(text, key, own, reference):
    """A row: the text, the measure, the paired difference of its values [seeds], and whether they are better than the reference's."""
    title, sign, digits = MEASURES[key]
    difference = paired(own, reference)
    return [text, title, page.cell(difference, digits, sign=True), page.student(difference, digits), verdict(difference, sign)]


def main_table(results, regime):
    """Means and intervals of all arms, and where their t fell."""
    cells = lambda arm: [page.cell(estimate(values(results, regime, arm, key)), digits) for key, (_, _, digits) in MEASURES.items()]
    rows = [[arm, *cells(arm), coverage(results, regime, arm)] for arm in results['arms']]
    return page.table(['arm', *(title for title, _, _ in MEASURES.values()), 't < 1/4, middle, > 3/4'], rows)


def coverage(results, regime, arm):
    """Shares of drawn t in the lowest quarter, the middle half and the highest quarter."""
    quarters = drawn(results, regime, arm).reshape(4, -1).sum(1)
    low, middle, high = np.array([quarters[0], quarters[1:3].sum(), quarters[3]]) / quarters.sum()
    return f'{100 * low:.0f}, {100 * middle:.0f}, {100 * high:.0f} %'


def differences(results, regime, reference='A uniform'):
    """Paired differences of all arms to uniform training on A."""
    if reference not in results['arms']:
        return []
    cells = lambda arm: [page.cell(paired(*(values(results, regime, one, key) for one in (arm, reference))), MEASURES[key][2], sign=True)
                         for key in SHORT]
    rows = [[arm, *cells(arm)] for arm in results['arms'] if arm != reference]
    return [f'Paired differences to {reference}:', '', *page.table(['arm', *(MEASURES[key][0] for key in SHORT)], rows)]


def late_start(results, others):
    """Arms from scratch against the same arms after uniform pre-training, where others have them with as many steps in all."""
    kept = lambda one: {key: value for key, value in one['config'].items() if key not in ('pretrain', 'finetune', 'scratch', 'lanes')}
    steps = results['config']['scratch']
    late = [one for one in others if 'finetune' in one['regimes'] and kept(one) == kept(results) and one['seeds'] == results['seeds']
            and one['config']['pretrain'] + one['config']['finetune'] == steps]
    if 'scratch' not in results['regimes'] or not late:
        return []
    after = late[0]['config']['pretrain']
    rows = [judged(arm, key, values(late[0], 'finetune', arm, key), values(results, 'scratch', arm, key))
            for arm in results['arms'] if arm in late[0]['arms'] for key in SHORT[1:]]
    return ['## From the first step, or later?', '',
            f'{after} uniform steps on A and then {steps - after} of the arm (size {late[0]["size"]}) against {steps} of the arm: later is '
            'better', '', *page.table(['arm', *JUDGED], rows), '']


def convergence(results):
    """Whether training was long enough: uniform training on golden clips, and the pre-training, by step."""
    lines = ['## Was training long enough?', '',
             'Uniform training on golden clips, and the pre-training on all, by step: means over seeds. How the steps of each '
             'size were chosen: configs/study_table.py.', '']
    titles, digits, rows = [title for title, _, _ in MEASURES.values()], [digits for _, _, digits in MEASURES.values()], []
    if 'start' in results:  # which the network adds nothing to yet
        rows.append(['the linear guess', '0', *('—' for _ in titles[1:]), shown(np.mean(results['start']), digits[-1])])
    for regime, arm in (('pretrain', 'A uniform'), *((regime, 'C uniform') for regime in results['regimes'])):
        own = [run['curve'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)]
        for points in zip(*own, strict=True):
            means = [np.mean([at(point, key) for point in points]) for key in MEASURES]
            rows.append([regime, str(points[0]['step']), *(shown(mean, n) for mean, n in zip(means, digits, strict=True))])
    return [*lines, *page.table(['regime', 'step', *titles], rows)]


def true_table(results):
    """What clips themselves measure."""
    keys = [key for key in MEASURES if key != 'loss']
    rows = [[name, *(shown(found[key], MEASURES[key][2]) for key in keys)] for name, found in results['truth'].items()]
    return ['What clips themselves measure, as many as samples of a run (distances of few clips to the reference are above 0):', '',
            *page.table(['clips', *(MEASURES[key][0] for key in keys)], rows)]


def shown(value, digits):
    """A number's cell; a dash for None and NaN."""
    return '—' if value is None or np.isnan(value) else f'{value:.{digits}f}'
