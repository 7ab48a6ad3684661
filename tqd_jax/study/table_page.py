"""The page of study 1, docs/results/tqd.md: claims and tables of every size whose JSON lies beside it; each number is from there."""
import numpy as np

from tqd_jax.study import page
from tqd_jax.study.arms import ARMS
from tqd_jax.study.statistics import estimate, paired, verdict

MEASURES = {  # {key: (title, +1 where more is better, digits)}
    'both': ('both right', 1, 3), 'moves_right': ('moves right', 1, 3), 'looks_right': ('looks right', 1, 3), 'motion': ('motion', 1, 3),
    'sharp': ('sharpness', 1, 3), 'texture': ('texture', 1, 3), 'identity': ('identity', 1, 3), 'frechet': ('Fréchet', -1, 2),
    'speeds': ('speed distance', -1, 3), 'loss': ('loss on golden', -1, 5)}
SHORT = ('both', 'motion', 'texture', 'frechet', 'loss')
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
    ('The law\'s direction matters: TQD beats its reverse', 'A tqd', 'A reversed', SHORT))
INTRO = """# Timestep-aware quality decoupling, arm by arm

Clips of a rendered world whose truth is known (`tqd_jax/study/world.py`): sprites over textured ground; a clip moves well or hardly,
looks well or is blurred, noisy, coarse or blocky, and the two correlate negatively. Sets: A all clips, B those good at one thing only,
C those good at both. Arms train for equal steps on equal numbers of clips. tqd is adaptive t with dropout (arXiv 2603.25527, kappa_max
8); reversed takes motion for look and look for motion, a control; offset moves logit(t) by 1.1 (arXiv 2607.21553), min noise bounds t
from below (arXiv 2506.10038). finetune: every arm goes on from one uniform pre-training on A for its seed; scratch: from fresh weights.

Samples of the captions of held-out golden clips are measured against the truth (`tqd_jax/study/measures.py`): *moves right* and *looks
right* are shares of samples as true golden clips are (95 % of these pass each), *both* of those right in both. *Fréchet*: squared
distance of features of a small network to true golden clips; *speed distance*: Wasserstein-1, in diagonals a second; *loss on golden*:
mean over noise of the validation loss. Less is better for these three.

In brackets: percentile bootstrap over seeds, 95 % nominal. Of five seeds it covers less than it says (83 % for normal differences), so
a claim *holds* or *is refuted* only where Student's interval of the paired difference agrees; else it is *undecided*. Nothing is
corrected for the number of rows: of every twenty that are not so, one would still be decided. Seeds vary weights, draws, noise and
samples; the library is one. Where shares are all 0, training was too short to pass the bars, and only the graded measures (motion,
texture, distances, loss) tell arms apart. All arms, all seeds, every measure: the JSON beside this page.

Rerun with the same seeds, sizes, machine and versions, a run gives the same record to the last bit; two of the tiny size were. On another
machine rounding differs, and a training follows it: there expect differences within the intervals over seeds."""


def write_page(folder, results, samples):
    """Writes tqd_SIZE.json, its pictures, and tqd.md of all sizes in the folder; returns the page's path.

    results: as table.main has them. samples: {(regime, arm): uint8 [n, F, H, W, 3]}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw_pictures(folder, results, samples)
    return page.collected(folder, 'tqd', results['size'], results, 'tqd.md', INTRO, lambda found, _: section(found))


def values(results, regime, arm, key):
    """[seeds] of a measure at the end of a run, in the order of results['seeds']; NaN where it has none."""
    ends = {run['seed']: run['curve'][-1] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)}
    return np.array([at(ends[seed], key) for seed in results['seeds']])


def at(point, key):
    """A measure at a point of a curve, NaN where there is none."""
    value = np.mean(point['loss']) if key == 'loss' else point['measures'][key]
    return np.nan if value is None else float(value)


def section(results):
    """Lines of one size."""
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
    return [*lines, '', *convergence(results), '', *true_table(results)]


def command(results):
    """The command that makes the results, but for the work directory."""
    asked = {'regimes': tuple(results['regimes']), 'seeds': tuple(results['seeds'])} | (
        {} if set(results['arms']) == set(ARMS) else {'arms': tuple(results['arms'])})
    quoted = ' '.join(f'"--config.{key}={value}"' for key, value in asked.items())
    return f'python -m tqd_jax.study --config=configs/study_table.py --config.size={results["size"]} {quoted}'


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
                title, sign, digits = MEASURES[key]
                difference = paired(values(results, regime, arm, key), values(results, regime, reference, key))
                student = f'[{difference.t_low:+.{digits}f}, {difference.t_high:+.{digits}f}]'
                rows.append([text, title, page.cell(difference, digits, sign=True), student, verdict(difference, sign)])
    return page.table(['claim', 'in', 'difference', 'Student\'s interval', 'verdict'], rows)


def main_table(results, regime):
    """Means and intervals of all arms, and where their t fell."""
    cells = lambda arm: [page.cell(estimate(values(results, regime, arm, key)), digits) for key, (_, _, digits) in MEASURES.items()]
    rows = [[arm, *cells(arm), coverage(results, regime, arm)] for arm in results['arms']]
    return page.table(['arm', *(title for title, _, _ in MEASURES.values()), 't < 1/4, middle, > 3/4'], rows)


def drawn(results, regime, arm):
    """How often t fell into each bin, all seeds together."""
    return np.sum([run['drawn'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)], 0)


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


def convergence(results):
    """Whether training was long enough: uniform training on golden clips, and the pre-training, by step."""
    lines = ['## Was training long enough?', '',
             'Uniform training on golden clips, and the pre-training on all, by step: means over seeds. No arm was looked at when the '
             'steps were set, by the time there is; the learning rate and the preconditioning come from one seed on other clips.', '']
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


def pictures(results, regime):
    """Markdown of the pictures of a regime."""
    name = f'tqd_{results["size"]}_{regime}'
    return [f'![measures]({name}_measures.png)', '', 'Dashed: true golden clips. Bands below: from the least to the greatest of the seeds.',
            '', f'![loss on golden clips by noise]({name}_loss.png)', '',
            f'![where t fell]({name}_t.png)', '', f'![samples of the first seed]({name}_samples.png)']


def draw_pictures(folder, results, samples):
    """The pictures that `pictures` names."""
    for regime in results['regimes']:
        name, arms, true = f'tqd_{results["size"]}_{regime}', list(results['arms']), results['truth']['true golden clips']
        found = {MEASURES[key][0]: [estimate(values(results, regime, arm, key)) for arm in arms] for key in SHORT}
        page.save(page.intervals(arms, found, {MEASURES[key][0]: true[key] for key in SHORT[:3]}), folder / f'{name}_measures.png')
        page.save(loss_picture(results, regime), folder / f'{name}_loss.png')
        page.save(page.histograms({arm: drawn(results, regime, arm) for arm in arms}), folder / f'{name}_t.png')
        page.save(page.sheet_figure({arm: samples[regime, arm] for arm in arms}), folder / f'{name}_samples.png')


def loss_picture(results, regime):
    """Validation loss by noise, relative to the first arm's."""
    loss = {arm: np.array([run['curve'][-1]['loss'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)])
            for arm in results['arms']}
    first, base = next(iter(loss.items()))
    title = f'validation loss on golden clips against that of {first}, %'
    places = (np.arange(base.shape[1]) + 0.5) / base.shape[1]
    return page.curves(places, {title: {arm: 100 * (own / base - 1) for arm, own in loss.items()}}, 't (0: data, 1: noise)')
