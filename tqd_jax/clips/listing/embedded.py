"""Videos within rows of a Parquet file, as fsspec opens files: row://COLUMN/ROW/NAME::FILE, where FILE is a path or a URL."""
import functools
import io
import itertools
import posixpath
import urllib.parse

import fsspec
import pyarrow.parquet
from fsspec.spec import AbstractFileSystem

PROTOCOL = 'row'


def row_url(file, column, row, name) -> str:
    """The URL of the video in one row; name: of the file that it was, for its ending, or None."""
    name = posixpath.basename((name or '').replace('\\', '/')) or 'video.mp4'
    return f'{PROTOCOL}://{urllib.parse.quote(column, safe="")}/{row}/{urllib.parse.quote(name)}::{file}'


class RowFiles(AbstractFileSystem):
    """The file system of one Parquet file's rows, for fsspec's chains."""
    protocol = PROTOCOL
    cachable = False

    def __init__(self, fo='', target_protocol=None, target_options=None, **options):
        super().__init__(**options)
        self.system = fsspec.filesystem(target_protocol or 'file', **(target_options or {}))
        self.file = self.system._strip_protocol(fo)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path).lstrip('/')

    def ukey(self, path):
        """What the file's own stamp says, and the row."""
        return f'{self._stamp()} {path}'

    def info(self, path, **options):
        """Name and size."""
        return {'name': path, 'size': len(self._bytes(path)), 'type': 'file'}

    def ls(self, path, detail=True, **options):
        """The path itself: rows are not listed."""
        return [self.info(path)] if detail else [path]

    def _open(self, path, mode='rb', **options):
        return io.BytesIO(self._bytes(path))

    def _bytes(self, path):
        column, row = path.split('/')[:2]
        metadata = _metadata(self.system, self.file, self._stamp())
        with self.system.open(self.file, 'rb') as opened, pyarrow.parquet.ParquetFile(opened, metadata=metadata) as file:
            return bytes_of_row(file, urllib.parse.unquote(column), int(row))

    def _stamp(self):
        info = self.system.info(self.file)
        return ' '.join(str(info.get(name)) for name in ('size', 'mtime', 'ETag', 'etag', 'LastModified', 'updated') if info.get(name))


def bytes_of_row(file, column, row) -> bytes:
    """The bytes of a video in a pyarrow ParquetFile, read from the beginning of its row group to its row.

    Raises FileNotFoundError where the row has none.
    """
    kind = file.schema_arrow.field(column).type
    leaf = f'{column}.bytes' if pyarrow.types.is_struct(kind) else column
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < rows:
            batches = file.iter_batches(1, row_groups=[group], columns=[leaf])
            value = next(itertools.islice(batches, row, None))[column][0].as_py()
            value = value['bytes'] if isinstance(value, dict) else value
            if value is None:
                break
            return value
        row -= rows
    raise FileNotFoundError(f'no video in that row of column {column}')


@functools.lru_cache(maxsize=8)
def _metadata(system, file, stamp):
    """The footer of a file, as long as its stamp is the same."""
    with system.open(file, 'rb') as opened:
        return pyarrow.parquet.read_metadata(opened)
