"""The parts of a report that both jobs share: tables of scores, and reliability diagrams."""
from collections.abc import Mapping, Sequence
from typing import Any

from transfer_jax.experiment.scores.calibration import add
from transfer_jax.experiment.scores.figures import reliability
from transfer_jax.experiment.scores.metrics import METRICS
from transfer_jax.experiment.scores.summary import Pair, format_pair, mean_and_error
from transfer_jax.runtime.page import Page

MAIN = ('target_only', 'all_sources', 'cv_global', 'wadn', 'otqms', 'uowq_static', 'uowq', 'single', 'pooled', 'equal')
MEANINGS = {
    'balanced_accuracy': 'balanced accuracy: the mean over classes of the share of their rows that are right',
    'auc': 'AUC: the probability that a row of {one} gets a higher probability of it than another row{mean}',
    'average_precision': 'average precision: of {one}{mean}; of a random order it is the share of its rows',
    'log_loss': 'log-loss: the mean of -log p of the label (lower is better)',
    'brier': 'Brier score: the mean squared error of the probabilities (lower is better)',
    'ece': 'calibration error: the mean distance of predicted from observed probability over 15 bins (lower is better; finite samples '
           'make it positive for calibrated probabilities too)',
    'rmse': 'RMSE: the root of the mean squared error (lower is better)',
    'mae': 'MAE: the mean absolute error (lower is better)'}


def score_table(rows: Mapping[str, Mapping[str, Pair]], columns: Sequence[str], labels: Sequence[str],
                digits: int = 3) -> tuple[list[str], list[list[str]]]:
    """(header, rows): a method a row, 'mean ± standard error' of each column in rows {method: {column: pair}}; '' where it has none."""
    cells = lambda pairs: [format_pair(pairs[column], digits) if column in pairs else '' for column in columns]
    return ['method', *labels], [[name, *cells(pairs)] for name, pairs in rows.items()]


def as_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text, in columns."""
    widths = [max(len(line[place]) for line in [header, *rows]) for place in range(len(header))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [header, *rows])


def meanings(metrics: Sequence[str], positive: str | None) -> str:
    """What these scores are, in a sentence each. positive: the class that two classes are scored by; None where there are more."""
    parts = {'one': 'a class', 'mean': ', the mean over classes'} if positive is None else {'one': f'the class {positive!r}', 'mean': ''}
    texts = [MEANINGS[name].format(**parts) for name in metrics if name in MEANINGS]
    return ' '.join(f'{text[0].upper()}{text[1:]}.' for text in texts)


def labels_of(metrics: Sequence[str]) -> list[str]:
    """The scores' names in words."""
    return [METRICS[name].label for name in metrics]


def add_calibration(page: Page, bins: Mapping[str, Sequence[Mapping[str, Any]]], errors: Mapping[str, Sequence[float | None]],
                    positive: str | None) -> None:
    """A section with the reliability diagram of every main method, or of all where none is.

    bins {method: Bins.plain of every part}; errors {method: calibration errors of every seed}; positive as in meanings.
    """
    shown = [name for name in bins if name in MAIN] or list(bins)
    if not shown:
        return
    event = 'that the most probable class is right' if positive is None else f'of the class {positive!r}'
    page.section('Calibration')
    page.text(f'Predicted against observed probability {event}, on the test rows of all seeds; a mark is larger where its bin has '
              'more rows, bars are one standard error of as many independent rows, and the line is where both agree.')
    axis = ('predicted', 'right' if positive is None else 'observed')
    caption = lambda name: f'calibration error {format_pair(mean_and_error(errors[name]))}'
    page.multiples([(reliability(add(bins[name]), name, axis), caption(name),
                     f'reliability diagram of {name}') for name in shown])
