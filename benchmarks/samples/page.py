"""The page of samples: a table of all checkpoints whose numbers lie in a folder, beside rendered clips of the same scenes."""
import statistics

from benchmarks.studies.pages.files import read_results
from benchmarks.studies.pages.page import table
from benchmarks.studies.pages.statistics import estimate
from transfer_jax.runtime.files import write_atomically

PAGE = 'samples.md'
COLUMNS = {'whole': 'one whole shape of its colour', 'shape': 'the caption\'s shape', 'right': 'both', 'steady': 'frames of that shape',
           'moves': 'moves', 'speed': 'speed', 'distance': 'speed distance', 'straight': 'straight', 'r2': 'R² of what moves'}
PATHS = ('moves', 'speed', 'distance', 'straight', 'r2')  # what the order of frames changes
NAMES = {'samples': '**samples**', 'library': 'the data, as training reads it', 'clean': 'the data, clean',
         'shuffled': 'the data, frames in random order'}
INTRO = '''# Samples, to look at

How good a checkpoint's samples are to look at, by captions of one object ("a red disc") of rendered libraries that no checkpoint was
trained on, beside clips of the same scenes measured alike: the data's rows are the ceiling. The data are the scenes as the library holds
them, about half of them nearly still; *as training reads it*: degraded, stored as video, and read at the training's size and rate.

- *One whole shape of its colour*: of thirty sprites, the one that correlates best with what the studies' tracker finds
  (`benchmarks/studies/measures/track.py`) has the caption's colour; and in 7 of 8 frames one thing alone is lit, as large as a
  sprite, and of that colour (`benchmarks/samples/objects.py`).
- *The caption's shape*: a classifier names it from the outlines in all frames, whatever their colour. It is a logistic regression of
  scikit-learn on outlines of 16 x 16, the matte of the tracked thing around its centre in half a frame's width, trained on 400 rendered
  scenes at 32 and 64 pixels, clean and degraded (`benchmarks/samples/shapes.py`). It must choose among five: a ragged thing gets a name
  too, so chance is 0.2. *Both* asks for this and the column before. *Frames of that shape*: the share of frames that it takes for the
  caption's shape one by one.
- *Moves*: from 0.2 frame diagonals a second on; the library's scenes have at most 0.05 or at least 0.35. *Speed*: of the nearest path of
  a ball that rolls straight on and bounces, in diagonals a second; its mean. *Speed distance*: Wasserstein-1 to the speeds of the same
  scenes as training reads them; captions say nothing of speed, so this compares sets.
- *Straight*: 1 - mean distance of the track from that path, in radii of a sprite. *R²*: the share of a track's variance that this path
  explains, of what moves. The last row is the floor of both: the path is fitted to frames in random order.

Each seed has scenes and noise of its own. In brackets: 95 % intervals of the mean over seeds (Student's). The training is one: intervals
say nothing of another training. No number of this page chose anything of the measures: their bounds are those of rendered clips.
'''


def write_page(folder):
    """Writes the page of all samples_*.json of the folder; returns its path."""
    results = [read_results(path) for path in sorted(folder.glob('samples_*.json'))]
    lines = [INTRO, *(line for one in results for line in section(one))]
    write_atomically(folder / PAGE, ('\n'.join(lines).rstrip() + '\n').encode())
    return folder / PAGE


def section(results):
    """Lines on one checkpoint: what it is, its table, its classifier, its picture."""
    frames, height, width = results['shape']
    seeds, count = results['seeds'], results['samples']
    seconds = statistics.median(results['seconds'])
    yield f'## {results["name"]}\n'
    yield f'`{results["command"]}`\n'
    yield (f'{results["date"]}, {results["machine"]}. {width} x {height} pixels, {frames} frames at {results["fps"]} a second; '
           f'{results["steps"]} steps of {results["solver"]}, guidance {results["guidance"]:g}; step {results["step"]} of training in that '
           f'folder; weights {results["weights"]}. {count} samples of each of the seeds {", ".join(map(str, seeds))}, drawn in '
           f'{seconds:.0f} s a seed (median, on a machine with other work).\n')
    yield from table(['', *COLUMNS.values()], [[NAMES[row], *cells(values, row)] for row, values in results['rows'].items()])
    yield ''
    yield classifier_line(results)
    yield (f'\n![Film strips of samples with their captions](../images/samples_{results["name"]}.png)\n\nThe first samples of seed '
           f'{seeds[0]}, six frames of each from left to right.\n')


def cells(values, row):
    """The cells of a row; '' for what it has in common with the row before."""
    return [interval(values[name]) if row != 'shuffled' or name in PATHS else '' for name in COLUMNS]


def interval(values):
    """'.412 [.388, .437]': the mean of one number a seed and Student's interval."""
    one = estimate(values)
    bounds = f' [{one.t_low:.3f}, {one.t_high:.3f}]' if len(values) > 1 else ''
    return f'{one.mean:.3f}{bounds}'


def classifier_line(results):
    """What is known of the classifier, and what a guess would score."""
    known = '; '.join(f'{name} {frames:.1%} of frames, {clips:.1%} of clips' for name, (frames, clips) in results['accuracies'].items())
    samples = results['rows']['samples']
    return (f'The classifier on 200 held-out rendered scenes, by size in pixels: {known}. On the samples it agrees with another kind, a '
            f'kernel machine on the same outlines, in {interval(samples["agree"])} of clips. Chance is 0.2; the shapes that it names here '
            f'would score {interval(samples["chance"])} against captions dealt out anew.')
