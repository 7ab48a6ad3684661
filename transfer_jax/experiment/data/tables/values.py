"""The values of a table's labels and domains: one for each row, none missing, as names or numbers; where: the file, for errors."""
from typing import Any

import numpy as np

from transfer_jax.experiment.data.tables.fields import Table
from transfer_jax.runtime.errors import UserError

EXACT = 2**53  # floats above it are not all whole numbers


def labels_of(where: Any, table: Table, task: str) -> np.ndarray:
    """A table's labels [n]: names of classes, str, or of a regression float32 values. Raises UserError, naming row and value."""
    y = flat(where, table.y, 'label')
    if task == 'classification':
        return names_of(where, y, table.classes, 'label', 'classes')
    if y.dtype.kind not in 'biuf':
        raise UserError(f'{where}: labels are {y.dtype}, the first is {y[0]!r}; a regression wants numbers')
    return y.astype(np.float32)


def flat(where: Any, values: Any, what: str) -> np.ndarray:
    """Values [n] of a field [n], [n, 1], [1, n] or of n cells. Raises UserError for a value that is missing."""
    values = np.asarray(values)
    if values.size != max(values.shape, default=0):
        raise UserError(f'{where}: {what}s are {values.dtype}{list(values.shape)}; there must be one for each row '
                        '(of one-hot ones: y.argmax(1))')
    values = values.ravel()
    if values.dtype == object:
        values = np.array([np.ravel(value)[0] if np.size(value) else None for value in values])
        missing = np.array([value is None for value in values])
    else:
        missing = ~np.isfinite(values) if values.dtype.kind == 'f' else np.zeros(len(values), bool)
    if missing.any():
        raise UserError(f'{where}: the {what} of row {np.argmax(missing)} is missing or NaN or infinite; drop the row')
    return values


def names_of(where: Any, values: np.ndarray, names: tuple[str, ...] | None, what: str, key: str) -> np.ndarray:
    """Values [n] as text; where the file names its whole numbers, those names. Raises UserError, naming row and value."""
    if values.dtype.kind == 'f' and (fractional := values % 1 != 0).any():
        row = np.argmax(fractional)
        raise UserError(f"{where}: the {what} of row {row} is {values[row]}; {key} are whole numbers or names (else: task 'regression')")
    if values.dtype.kind not in 'iuf':
        return _texts(where, values, what)
    if values.dtype.kind == 'f' and (large := np.abs(values) > EXACT).any():
        row = np.argmax(large)
        raise UserError(f'{where}: the {what} of row {row} is {values[row]!r}; whole numbers above 2^53 run together: save them as text')
    numbers = values.astype(np.int64) if values.dtype.kind == 'f' else values
    if names is None:
        return numbers.astype(str)
    if (wrong := (numbers < 0) | (numbers >= len(names))).any():
        row = np.argmax(wrong)
        raise UserError(f'{where}: the {what} of row {row} is {numbers[row]}; its {key} are numbered 0 to {len(names) - 1}')
    return np.array(names)[numbers]


def _texts(where, values, what):
    """Texts without the blanks that MATLAB pads them with. Raises UserError for an empty one, and for bytes that are no text."""
    try:
        texts = np.char.strip(values.astype(str))
    except UnicodeDecodeError as error:
        raise UserError(f'{where}: a {what} holds bytes that are no plain text ({error.object!r}); save the file again as UTF-8') from None
    if (texts == '').any():
        raise UserError(f'{where}: the {what} of row {np.argmax(texts == "")} is empty; give it one, or drop the row')
    return texts
