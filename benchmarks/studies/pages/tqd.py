"""The page of study 1, docs/results/tqd.md: claims and tables of every size, from the JSON files beside it."""
from benchmarks.studies.pages import files, page
from benchmarks.studies.pages.tqd_pictures import draw_pictures, draw_samples, pictures
from benchmarks.studies.pages.tqd_tables import claims, convergence, differences, late_start, main_table, true_table
from benchmarks.studies.training.arms import ARMS

INTRO = """# Timestep-aware quality decoupling, arm by arm

Clips of a rendered world with a known truth (`benchmarks/studies/world/world.py`): sprites over textured ground; a clip moves well or
hardly, looks well or is blurred, noisy, coarse or blocky, and the two correlate negatively. Sets: A all clips, B those good at one thing
only, C those good at both. Arms train for equal steps on equal numbers of clips. tqd is adaptive t with dropout (arXiv 2603.25527,
kappa_max 8); reversed swaps motion and visual quality, a control; offset moves logit(t) by 1.1 (arXiv 2607.21553), min noise bounds t
from below (arXiv 2506.10038). finetune: every arm goes on from one uniform pre-training on A for its seed; scratch: from fresh weights.

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

    results: those of claims.tqd.main. samples: {(regime, arm): uint8 [n, F, H, W, 3]}.
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
    """Lines of one size; others: results of all sizes, to compare with."""
    size, runs = results['config'], results['runs']
    quadrants = ', '.join(f'{100 * share:.1f} % {name.replace("_", " ")}' for name, share in results['library'].items())
    lines = ['', f'# Size {results["size"]}', '',
             f'`{command(results)}`', '',
             f'{results["machine"]}; {sum(run["seconds"] for run in runs) / 60:.0f} minutes of training and measuring. '
             f'{size["clips"]} clips of {size["frames"]} frames, {size["size"]} x {size["size"]}: {quadrants}; '
             f'correlation of motion and visual quality {results["correlation"]:.2f}. '
             f'{size["layers"]} layers, {size["heads"]} heads of {size["head_dim"]}, {size["batch"]} clips a '
             f'step; steps: {steps_of(results)}. '
             f'{len(results["seeds"])} seeds, {size["samples"]} samples each.']
    for regime in results['regimes']:
        lines += ['', f'## {results["size"]}, {regime}', '', *claims(results, regime), '', *main_table(results, regime), '',
                  *differences(results, regime), '', *pictures(results, regime)]
    return [*lines, '', *late_start(results, others), *convergence(results), '', *true_table(results)]


def command(results):
    """The command that makes the results, but for the work directory."""
    named = {'size': results['size'], 'regimes': tuple(results['regimes']), 'seeds': tuple(results['seeds'])} | (
        {} if set(results['arms']) == set(ARMS) else {'arms': tuple(results['arms'])})
    return page.command('table', results, named)


def steps_of(results):
    """'fine-tuning 4000 after pre-training 16000, from scratch 2000', of the regimes that ran."""
    size = results['config']
    texts = {'finetune': f'fine-tuning {size["finetune"]} after pre-training {size["pretrain"]}',
             'scratch': f'from scratch {size["scratch"]}'}
    return ', '.join(texts[regime] for regime in results['regimes'])
