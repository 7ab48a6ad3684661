"""Multi-task learning on the school data: UOWQ beside single-task, pooled and published methods, ten random splits.

    python -m benchmarks.multitask --data=PATH [--splits=10] [--first=0] [--kept=FOLDER]

PATH: school.mat with cells X and Y of 139 schools. Some 10 minutes on one core.
"""
import argparse
import dataclasses
import json
import pathlib

import numpy as np
import scipy.io

from benchmarks.timing import write_page
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.multitask.config import Multitask
from transfer_jax.experiment.multitask.job import multitask
from transfer_jax.experiment.multitask.methods.registry import METHODS
from transfer_jax.runtime.errors import UserError

SECTION = {'train': 0.75, 'validation': 0.2, 'steps': 150, 'batch': None, 'learning_rate': 0.02, 'decay': (0.003, 0.03, 0.1, 0.3)}
PAGE, RARE = pathlib.Path('docs/results/multitask.md'), '## Rare classes'  # benchmarks.rare writes that part
TRUNK, LINEAR = (16,), ('single', 'pooled', 'uowq_static')
INTRODUCTION = """Exam scores of 15362 pupils in 139 schools, a task each; 28 features. Test explained variance, 1 - squared error over the
test labels' variance: over all pupils, and as a mean over schools, ± standard error over {splits} random splits (seeds {first} to {last}).
Of each school 75 % are for training, a fifth of these for validation, 25 % for test. Inputs and labels are standardised on training
rows. Each method's L2 decay ({decays}), step (one of ten) and variant are chosen on validation, for every split; nothing was fitted or
chosen on test rows, and no method sees validation rows in training. {steps} steps of Adam at {rate}, all rows in each.

trunk {width}: features - {width} tanh units that all tasks share - a linear head a task. linear: no trunk, a linear model a task; there
the baselines that combine gradients have nothing to combine and are single-task learning. 'less uowq': the paired difference."""
NOTES = """single: every school on its own. pooled: W = 1. Variants of uowq: 'shared' takes G as the prior of all tasks expects it, 'own' as
each target's own distances say. Published figures on this data, on other splits, features and measures, lie between .25 and .38.

What the figures do not say: splits share rows, so standard errors are those of the split, not of new schools. The estimator of W was
found on validation rows of other splits (seeds 100 to 103, and four more), which are in part test rows here."""


def school(path):
    """The Domains of school.mat."""
    try:
        cells = scipy.io.loadmat(path)
        pairs = list(zip(cells['X'].ravel(), cells['Y'].ravel(), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'--data={path}: not a school.mat with cells X and Y ({error})') from None
    return Domains(domains=tuple(Domain(name=f'school {number}', inputs=x.astype(np.float32), labels=y.ravel().astype(np.float32))
                                 for number, (x, y) in enumerate(pairs)), classes=None)


def format_mean(values, digits=4):
    """'0.1234 ± 0.0056': mean and standard error of values [splits]."""
    values = np.asarray(values, float)
    return f'{values.mean():.{digits}f} ± {values.std(ddof=1) / len(values) ** 0.5:.{digits}f}'


def kept(folder, name, section, data):
    """The entry of one method in the results: from FOLDER/NAME.json where that has the same section, else computed, and kept there.

    folder None: computed. A program that was stopped so goes on where it stopped; the folder is to be of one version of the package.
    """
    method, = section.methods
    path = None if folder is None else pathlib.Path(folder) / f'{name}.json'
    settings = json.loads(json.dumps(dataclasses.asdict(section)))
    if path is not None and path.exists() and (found := json.loads(path.read_text()))['section'] == settings:
        return found['entry']
    entry = multitask(section, data)['methods'][method]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({'section': settings, 'entry': entry}))
    return entry


def replace_part(page, heading, lines):
    """The text of a page with other lines under a heading of its own, at its end: what other programs write there stays."""
    before, _, after = page.partition(f'\n{heading}\n')
    rest = after[after.index('\n## '):] if '\n## ' in after else ''
    return '\n'.join([before.rstrip('\n'), '', heading, '', *lines, '']) + rest


def rows(entries, best):
    """A line for each entry {(model, name): results}; best: the test values that differences are to."""
    for (model, name), entry in entries.items():
        settings = entry['chosen']
        variants = sorted({one['variant'] for one in settings} - {''})
        counts = ', '.join(f'{variant} {sum(one["variant"] == variant for one in settings)}' for variant in variants)
        decays = ', '.join(f'{decay:g}' for decay in sorted({one['decay'] for one in settings}))
        less = '' if entry['test'] is best else format_mean(np.subtract(entry['test'], best))
        test, by_task, validation = (format_mean(entry[key]) for key in ('test', 'test_by_task', 'validation'))
        yield (f'| {model} | {name} | {test} | {by_task} | {less} | {validation} | '
               f'{counts} | {decays} | {entry["seconds"]:.0f} |')


def main():
    """Runs every method and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True)
    parser.add_argument('--splits', type=int, default=10)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--kept', help='a folder: methods that are finished there are not trained again')
    args = parser.parse_args()
    data, seeds = school(args.data), tuple(range(args.first, args.first + args.splits))
    entries = {}
    for model, hidden, names in (('trunk 16', TRUNK, tuple(METHODS)), ('linear', (), LINEAR)):
        for name in names:
            section = Multitask(**SECTION, methods=(name,), hidden=hidden, seeds=seeds)
            entries[model, name] = kept(args.kept, f'{model} {name}', section, data)
            print(model, name, format_mean(entries[model, name]['validation']), f'{entries[model, name]["seconds"]:.0f} s', flush=True)
    _, heading, part = PAGE.read_text().partition(f'{RARE}\n') if PAGE.exists() else ('', '', '')
    rare = [heading + part.rstrip('\n')] if heading else []  # of benchmarks.rare
    text = INTRODUCTION.format(splits=args.splits, first=seeds[0], last=seeds[-1], width=TRUNK[0], steps=SECTION['steps'],
                               rate=SECTION['learning_rate'], decays=', '.join(map(str, SECTION['decay'])))
    table = ['| model | method | explained variance | mean over schools | less uowq | on validation | variant: splits | decays | s |',
             '|---' * 9 + '|', *rows(entries, entries['trunk 16', 'uowq']['test'])]
    total = f'{sum(entry["seconds"] for entry in entries.values()):.0f} s in all.'
    write_page('multitask', 'Multi-task learning on the school data',
               [text, '', *table, '', NOTES, '', total, '', *rare], PAGE.parent)


if __name__ == '__main__':
    main()
