"""config.data.classes = 'map:...': names of labels that mean the same class, for all domains or for one."""
import csv
import pathlib
from collections.abc import Mapping

import numpy as np

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path

PREFIX = 'map:'


def rename(labels: Mapping[str, np.ndarray], spec: str) -> dict[str, np.ndarray]:
    """The labels {domain: names [n]} with the names of a map 'map:OLD=NEW,DOMAIN/OLD=NEW' or 'map:FILE'; others stay.

    A file is a CSV with a header: label,class or domain,label,class. Raises UserError for a map that cannot be read, or an entry that
    fits no label.
    """
    pairs = _pairs(spec.removeprefix(PREFIX))
    used, renamed = set(), {}
    for domain, names in labels.items():
        new = {}
        for name in np.unique(names).tolist():
            key = next((key for key in (f'{domain}/{name}', name) if key in pairs), None)
            new[name] = name if key is None else pairs[key]
            used |= {key}
        renamed[domain] = np.array([new[name] for name in names.tolist()], str)
    if idle := [key for key in pairs if key not in used]:
        has = '; '.join(f'{domain} has {", ".join(map(str, np.unique(names)[:5]))}' for domain, names in labels.items())
        raise UserError(f'config.data.classes maps {idle[0]!r}, which is no label: {has}')
    return renamed


def _pairs(text):
    if '=' not in text:
        return _file_pairs(text)
    pairs = [tuple(part.strip() for part in entry.partition('=')[::2]) for entry in text.split(',')]
    if wrong := [entry for entry, pair in zip(text.split(','), pairs, strict=True) if not all(pair)]:
        raise UserError(f'config.data.classes: {wrong[0]!r} is not OLD=NEW or DOMAIN/OLD=NEW')
    return dict(pairs)


def _file_pairs(text):
    path = pathlib.Path(local_path(text))
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"config.data.classes: {path} cannot be read ({error}); give a CSV of label,class, or "
                        "'map:OLD=NEW,OLD=NEW'") from None
    for number, row in enumerate(rows, 2):
        if not row.get('label') or not row.get('class'):
            raise UserError(f'{path}:{number}: a row needs a label and a class; the header is label,class or domain,label,class')
    return {(f'{row["domain"]}/' if row.get('domain') else '') + row['label']: row['class'] for row in rows}


def suggestion(has: Mapping[str, Mapping[str, int]]) -> str:
    """Words that offer a map from the labels {domain: {name: count}} to those of the first domain."""
    (_, names), *others = has.items()
    pairs = []
    for domain, theirs in others:
        by_case = {name.casefold(): name for name in names}
        if all(name.casefold() in by_case for name in theirs):
            pairs += [(f'{domain}/{name}', by_case[name.casefold()]) for name in theirs if name not in names]
        elif len(theirs) == len(names):
            both = zip(_ordered(theirs), _ordered(names), strict=True)
            pairs += [(f'{domain}/{name}', target) for name, target in both if name != target]
    if not pairs or len(pairs) > 8 or any(character in ''.join(old + new) for old, new in pairs for character in ',='):
        return "give them one name each by config.data.classes='map:FILE', a CSV of domain,label,class"
    return ("if these are the same classes, set config.data.classes='map:" + ','.join(f'{old}={new}' for old, new in pairs) +
            "' (or 'map:FILE', a CSV of domain,label,class)")


def _ordered(names):
    whole = all(str(name).lstrip('+-').isdecimal() for name in names)
    return sorted(map(str, names), key=int if whole else None)
