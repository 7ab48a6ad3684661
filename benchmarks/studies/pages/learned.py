"""The page of study 3, docs/results/learned_law.md: the learned laws and their effect, for every JSON file beside it."""
import numpy as np

from benchmarks.studies.pages import figures, files, page
from benchmarks.studies.pages.statistics import paired_difference, verdict
from benchmarks.studies.pages.tqd_tables import differences, main_table
from benchmarks.studies.pages.tqd_values import MEASURES, SHORT, values
from tqd_jax.timesteps import learned as learned_law

HAND = 'A tqd'
RIVALS = (HAND, 'A uniform', 'C uniform', 'learned, plug-in')
INTRO = """# A law of t that is learned

Timestep-aware quality decoupling sets each clip's law of t by hand, from scores of motion and visual quality; here these are the true
ones. A learned law has no scores, but the group of each clip: golden, slow, a degradation, or a degradation and slow. For each group and
each noise bin the gradients of a pre-trained model, the probe, say how far the group would lead away from a few golden clips, and one
batched solve says how often to draw it there. `tqd_jax/gradients/probe.py` has the mathematics. *learned* uses Gram matrices without the
bias of noisy gradients; *learned, plug-in*, a control, those with it (of half the chunks at a time, so twice what all of them would have).
World *detail* has degradations of fine detail only; world *all* has colour shifts and repeated frames too, which a law by motion and
visual quality does not expect. Same steps, same clips, same seeds for all arms; *best by hand* is the arm on all clips (A) with the best
mean of that very measure, chosen after the fact, which favours it. *C uniform* trains on the golden clips alone, for which one has to
know which they are, as for the learned law.

Seeds are of the models, of their draws, and of the probe's clips, noise and target. In brackets: percentile bootstrap over seeds, then
Student's interval; *holds* and *is refuted* ask for both (see [tqd.md](tqd.md), which explains the measures too). In the tables of shares
± is a jackknife's standard error over chunks of clips; *clips' share of the variance*: how much of the variance of an example's gradient
lies between clips, the rest being noise of one clip.
"""


def write_page(folder, results):
    """Writes learned_SIZE_WORLD.json with pictures, and learned_law.md from all such files in the folder; returns the page's path."""
    files.write_results(folder / f'learned_{results["size"]}_{results["world"]}.json', results)
    return rewrite(folder)


def rewrite(folder):
    """Writes learned_law.md and its pictures from the JSON files in the folder; returns the page's path."""
    def section_of(results, stem, _):
        figures.save(figures.curves(*weights(results)), folder / f'{stem}.png')
        return section(results, stem)
    return files.write_page(folder, 'learned', 'learned_law.md', INTRO, section_of)


def weights(results):
    """(t [B], {title: {group: weights [seeds, B]}}, label): how often a clip is drawn at t, relative to uniform training on all clips."""
    laws = results['laws']
    q = np.array([law['shares']['gram'] for law in laws])
    relative = learned_law.weights(q, laws[0]['counts'])
    t = (np.arange(q.shape[1]) + 0.5) / q.shape[1]
    simple = [group for group in laws[0]['groups'] if ' ' not in group]
    slow = [group for group in laws[0]['groups'] if group not in simple]
    lines = lambda groups: {group: relative[:, :, laws[0]['groups'].index(group)] for group in groups}
    panels = {'weight of a clip': lines(simple), **({'of a slow one' if len(slow) > 1 else slow[0]: lines(slow)} if slow else {})}
    return t, panels, 't (1: noise)'


def section(results, name):
    """Lines of one size and world."""
    command = page.command('learned', results, {key: results[key] for key in ('size', 'world')})
    lines = [f'## Size {results["size"]}, world {results["world"]}', '',
             f'`{command}`; {len(results["seeds"])} seeds; probe at step {results["laws"][0]["step"]}: {results["settings"]}; '
             f'{results["machine"]}.', '', f'![weights by noise]({name}.png)', '', *law_table(results), '']
    for regime in results['regimes']:
        lines += [f'### {regime}', '', *claims(results, regime), '', *main_table(results, regime), '', *differences(results, regime), '']
    return lines


def law_table(results):
    """Shares of draws by group and noise bin, means over seeds, with the mean of the jackknife's standard errors."""
    laws, t = results['laws'], weights(results)[0]
    q, error = (np.mean([law[key] if key == 'error' else law['shares']['gram'] for law in laws], 0) for key in ('shares', 'error'))
    rows = [[group, str(count), *(f'{a:.3f} ± {b:.3f}' for a, b in zip(q[:, k], error[:, k], strict=True))]
            for k, (group, count) in enumerate(zip(laws[0]['groups'], laws[0]['counts'], strict=True))]
    rho = ['clips\' share of the variance', '', *(f'{x:.3f}' for x in np.mean([law['rho'] for law in laws], 0))]
    return page.table(['share of draws', 'clips', *(f't = {x:.2f}' for x in t)], [*rows, rho])


def claims(results, regime):
    """Paired differences of the learned law to its rivals, with a verdict on 'the learned law is better'."""
    rows = []
    for key in SHORT:
        title, sign, digits = MEASURES[key]
        hand = [arm for arm in results['arms'] if not arm.startswith(('learned', 'C '))]
        best = max(hand, key=lambda arm, key=key, sign=sign: sign * np.nanmean(values(results, regime, arm, key)))
        for rival in dict.fromkeys([*(arm for arm in RIVALS if arm in results['arms']), best]):
            difference = paired_difference(values(results, regime, 'learned', key), values(results, regime, rival, key))
            label = f'{rival} (best by hand)' if rival == best else rival
            intervals = page.cell(difference, digits, sign=True), page.student(difference, digits)
            rows.append([title, label, *intervals, verdict(difference, sign)])
    return page.table(['learned minus', 'arm', 'paired difference', 'Student\'s interval', 'learned is better'], rows)
