"""Names of classes -> numbers, the same for all domains; and a check that the domains have the same classes."""
from collections.abc import Mapping

import numpy as np

from transfer_jax.experiment.data.tables.classes import suggestion
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

RULES = ('same', 'union', 'intersection')


def number_classes(labels: Mapping[str, np.ndarray], rule: str, order: tuple[str, ...] | None = None) -> tuple[
        tuple[str, ...], dict[str, tuple[np.ndarray, np.ndarray]], list[dict[str, str]]]:
    """The classes of all domains, and each domain's rows of them as numbers.

    Args:
      labels: {domain: names of classes [n], str}.
      rule: 'same': every domain must have every class; 'union': some may lack some; 'intersection': only the classes that all have.
      order: the names in their order; None: sorted, by value where all are whole numbers.

    Returns:
      classes: tuple of names; selection: {domain: (rows [m] int64, numbers [m] int32)};
      skipped: what was left out, as dicts {file, reason}.

    Raises:
      UserError: domains differ in their classes, each named, under 'same'; no class is common to all under 'intersection'.
    """
    has = {domain: dict(zip(*np.unique(names, return_counts=True), strict=True)) for domain, names in labels.items()}
    names = _sort({str(name) for counts in has.values() for name in counts}, order)
    common = [name for name in names if all(name in counts for counts in has.values())]
    if rule == 'same' and len(common) < len(names):
        raise UserError(_mismatch(has, names, common))
    if not common and rule == 'intersection':
        raise UserError(f'no class is in every domain: {_mismatch(has, names, common)}')
    classes = tuple(common if rule == 'intersection' else names)
    number = {name: place for place, name in enumerate(classes)}
    selection, skipped = {}, []
    for domain, of_rows in labels.items():
        numbers = np.array([number.get(name, -1) for name in of_rows.tolist()], np.int32)
        rows = np.flatnonzero(numbers >= 0)
        selection[domain] = rows, numbers[rows]
        skipped += [{'file': domain, 'reason': f'class {str(name)!r} ({counted(count, "example")}) is not in every domain'}
                    for name, count in has[domain].items() if name not in number]
    return classes, selection, skipped


def _sort(names, order):
    if order is not None:
        return [name for name in order if name in names]
    whole = all(name.removeprefix('-').isdecimal() for name in names)
    return sorted(names, key=(lambda name: (int(name), name)) if whole else None)


def _mismatch(has, names, common):
    """The message about the first few classes that only some domains have."""
    reasons = []
    for name in [name for name in names if name not in common]:
        owners = [domain for domain, counts in has.items() if name in counts]
        if len(owners) == 1 and len(has) > 2:
            reasons.append(f'domain {owners[0]!r} has the class {name!r} that no other has')
        else:
            reasons += [f'domain {domain!r} has no class {name!r}' for domain in has if domain not in owners]
    more = f'; and {len(reasons) - 4} more' if len(reasons) > 4 else ''
    return ('; '.join(reasons[:4]) + more + f". {suggestion(has)}; or set config.data.classes to 'intersection' (only what all "
            "have) or 'union' (some lack some)")
