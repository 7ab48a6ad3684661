"""Which fields of an array file are wanted, and what a file is called: shared by the readers of all formats."""
import dataclasses
import gzip
import io
import pathlib
from collections.abc import Callable, Sequence
from typing import IO, Any, NoReturn

import numpy as np

from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fields:
    """The names of a file's fields; domain None: the file is one domain. svmlight files have no names, and ignore these.

    In Parquet and CSV, features is a column of lists, or the prefix of numeric columns (None: every numeric column but labels and domain).
    base: how svmlight files number their features (svmlight.BASES).
    """
    features: str | None = 'x'
    labels: str = 'y'
    domain: str | None = 'd'
    base: str = 'auto'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """x and y as in the file; d [n], None without a field of domains; classes and domains: an .npz's names of the numbers in y and d;
    names: of all fields; columns: of the features, None where the file has no name for each."""
    x: np.ndarray
    y: np.ndarray
    d: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    domains: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None


def kind_of(path: str | pathlib.Path) -> str:
    """The extension of an array file in small letters, that within .gz where it is compressed."""
    path = pathlib.Path(path)
    return (pathlib.Path(path.stem) if path.suffix.lower() == '.gz' else path).suffix.lower()


def stem_of(path: str | pathlib.Path) -> str:
    """The name of an array file without its extensions."""
    path = pathlib.Path(path)
    return pathlib.Path(path.stem).stem if path.suffix.lower() == '.gz' else path.stem


def open_file(path: str | pathlib.Path) -> IO[bytes]:
    """A binary stream of a file, unpacked where it is .gz, that can be read from any place."""
    return io.BytesIO(gzip.decompress(pathlib.Path(path).read_bytes())) if str(path).lower().endswith('.gz') else open(path, 'rb')


def field(path: str | pathlib.Path, read: Callable[[str], Any], names: Sequence[str], key: str, name: str | None) -> Any:
    """read(name) of a field, None for a domain of None."""
    if name is None and key == 'domain':
        return None
    if name not in names:
        absent(path, names, key, name)
    return read(name)


def absent(path: str | pathlib.Path, names: Sequence[str], key: str, name: str | None) -> NoReturn:
    """Raises UserError: the file has no field of this name, which config.data.KEY asks for."""
    advice = 'name one of them, or None where a file is one domain' if key == 'domain' else 'name one of them'
    if key == 'features' and kind_of(path) in ('.csv', '.tsv', '.parquet'):
        advice = 'name a column or the beginning of several; None: every column of numbers'
    raise UserError(f'{path} has no field {name!r} (config.data.{key}); it has {", ".join(names[:20]) or "none"}: {advice}')
