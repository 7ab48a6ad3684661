"""Scales of features, looked at before anything trains: which columns stand out, and whether columns are standardised."""
from collections.abc import Sequence

import numpy as np

from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.training.prepare import column_mean, column_square, host_rows

HUGE = 1e4  # times the median column's spread
LOW, HIGH = 1e-2, 1e4  # root mean square of a row's norm
ROWS = 4096  # of a domain that are looked at


def without_sparse(keep: bool, domains: Domains) -> tuple[Domains, tuple[str, ...]]:
    """(Domains, a line about it): sparse features as arrays, unless they are to be kept. Raises UserError where there is no room."""
    if keep or not domains.sparse:
        return domains, ()
    dense = domains.dense()
    size = sum(domain.inputs.nbytes for domain in dense.domains) / 1e9
    return dense, (f'sparse features became arrays of {size:.2g} GB in all; a linear model keeps them with config.train.solver = "exact"',)


def resolve_columns(columns: str, rows: str, domains: Domains) -> tuple[str, tuple[str, ...]]:
    """('none' or 'standard', lines for the user) of config.data.columns for these domains.

    'auto' is 'standard' where one column's spread is HUGE times the median's, or rows are shorter than LOW or longer than HIGH: there a
    learning rate and a penalty of one size fit no column, or one alone.
    """
    if domains.domains[0].inputs.ndim != 2:
        return ('none' if columns == 'auto' else columns), ()
    reasons = _reasons(rows, domains.domains)
    if columns == 'auto' and reasons:
        return 'standard', (f"features are standardised (config.data.columns = 'auto'): {'; '.join(reasons)}; 'none' leaves them so",)
    if columns == 'none' and reasons:
        return 'none', (f"features keep their scales (config.data.columns = 'none'): {'; '.join(reasons)}; 'standard' would even them out",)
    return ('none' if columns == 'auto' else columns), ()


def _reasons(rows: str, domains: Sequence[Domain]) -> list[str]:
    """What stands out of the scales of the domains' features, each domain with the same weight."""
    inputs = [host_rows(domain.inputs[::-(-len(domain) // ROWS)], rows) for domain in domains]
    centre = np.mean([column_mean(x) for x in inputs], 0)
    spread = np.sqrt(np.mean([column_square(x, centre) for x in inputs], 0))
    length = np.sqrt(np.mean([column_square(x, np.zeros(x.shape[1])).sum() for x in inputs]))
    varied = spread[spread > 0]
    if not len(varied):
        return []
    typical, reasons = np.median(varied), []
    if (huge := np.flatnonzero(spread > HUGE * typical)).size:
        column = huge[np.argmax(spread[huge])]
        reasons.append(f'column {column} has a spread of {spread[column]:.2g}, the median column {typical:.2g}'
                       + (f' (and {len(huge) - 1} more such columns)' if len(huge) > 1 else ''))
    elif not LOW <= length <= HIGH:
        column = int(np.argmax(spread))
        reasons.append(f'rows have a norm of {length:.2g}; the largest spread, of column {column}, is {spread[column]:.2g}')
    return reasons
