"""Multi-task learning where a class is rare: eight against the other digits in four ways of writing them, five random splits.

    python -m benchmarks.rare --data=digits4_16x16.npz [--splits=5] [--kept=FOLDER] [--methods uowq ...]

Each of the file's domains is a task of ROWS images, of which 6 % are eights. The section goes into docs/results/multitask.md. Some two
minutes on two idle cores.
"""
import argparse
import time

import numpy as np

from benchmarks.multitask import PAGE, RARE, format_mean, kept, replace_part
from benchmarks.timing import command, machine
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.multitask.config import ALL, Multitask
from transfer_jax.experiment.scores.metrics import METRICS
from transfer_jax.runtime.errors import UserError

ROWS, SHARE, DIGIT = 600, 0.06, 8
SCORES = ('auc', 'average_precision', 'balanced_accuracy', 'log_loss', 'accuracy')
SECTION = {'train': 0.5, 'validation': 0.2, 'hidden': (16,), 'steps': 150, 'learning_rate': 0.02, 'decay': (0.003, 0.03, 0.3)}
TEXT = """Eight against the other digits, in {tasks}: a task each, {rows} images of 16 x 16 pixels, of which {positive} are eights
(6 %; drawn once, seed 0). Half of a task's rows are for training, a fifth of these for validation: a task has some {train} eights to train
on, and the four tasks have some {valid} to choose by. Test scores over all tasks' rows, mean ± standard error over {splits} random splits
(seeds 0 to {last}); after the semicolon the mean over tasks. AUC on validation rows chooses variant, decay ({decays}) and step. Trunk of 16
tanh units, {steps} steps of Adam at {rate}, all rows in each; nothing was tuned on these data. 'less uowq': paired differences of AUC."""


def rare_digits(path):
    """Domains of {rest, eight}, one for each of the file's domains, each of ROWS images with a share SHARE of eights."""
    try:
        with np.load(path) as file:
            images, digits, domain, names = (file[key] for key in ('x', 'y', 'd', 'domains'))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'--data={path}: not an .npz with x, y, d and domains ({error}); give digits4_16x16.npz') from None
    rng, positive = np.random.default_rng(0), round(SHARE * ROWS)
    parts = []
    for number, name in enumerate(names):
        of = lambda wanted, count, number=number: rng.choice(np.flatnonzero((domain == number) & wanted), count, replace=False)
        rows = np.concatenate([of(digits == DIGIT, positive), of(digits != DIGIT, ROWS - positive)])
        parts.append(Domain(name=str(name), inputs=images[rows].reshape(ROWS, -1).astype(np.float32) / 255,
                            labels=(digits[rows] == DIGIT).astype(np.int32)))
    return Domains(domains=tuple(parts), classes=('rest', 'eight'))


def lines_of(methods):
    """The table's rows of {method: entry of the results}."""
    best = methods['uowq']['scores']['auc']['test'] if 'uowq' in methods else None
    for name, entry in methods.items():
        cells = ['; '.join(format_mean(entry['scores'][score][key], 3) for key in ('test', 'test_by_task')) for score in SCORES]
        less = '' if best is None or name == 'uowq' else format_mean(np.subtract(entry['scores']['auc']['test'], best), 3)
        yield f'| {name} | ' + ' | '.join([*cells, less, f'{entry["seconds"]:.0f}']) + ' |'


def main():
    """Runs every method and writes the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True)
    parser.add_argument('--splits', type=int, default=5)
    parser.add_argument('--kept', help='a folder: methods that are finished there are not trained again')
    parser.add_argument('--methods', nargs='+', default=ALL, choices=ALL)
    args = parser.parse_args()
    data, methods = rare_digits(args.data), {}
    for name in args.methods:
        section = Multitask(**SECTION, methods=(name,), seeds=tuple(range(args.splits)), metrics=SCORES)
        methods[name] = kept(args.kept, f'rare {name}', section, data)
        print(*lines_of({name: methods[name]}), flush=True)
    train = SECTION['train'] * (1 - SECTION['validation']) * SHARE * ROWS
    text = TEXT.format(tasks=', '.join(data.names), rows=ROWS, positive=round(SHARE * ROWS), train=round(train),
                       valid=round(len(data.names) * SECTION['train'] * SECTION['validation'] * SHARE * ROWS), splits=args.splits,
                       last=args.splits - 1, decays=', '.join(map(str, SECTION['decay'])), steps=SECTION['steps'],
                       rate=SECTION['learning_rate'])
    table = ['| method | ' + ' | '.join(METRICS[name].label for name in SCORES) + ' | less uowq | s |', '|---' * (len(SCORES) + 3) + '|']
    PAGE.write_text(replace_part(PAGE.read_text(), RARE, [
        f'`{command()}`', '', f'{time.strftime("%Y-%m-%d")}, {machine()}.', '', text, '', *table, *lines_of(methods), '',
        f'{sum(entry["seconds"] for entry in methods.values()):.0f} s in all.']))


if __name__ == '__main__':
    main()
