"""Parquet files that list clips: their columns, but for the bytes of videos within, whose rows become URLs."""
import os

import pyarrow as pa
import pyarrow.parquet

from tqd_jax.clips.listing import names as columns_named
from tqd_jax.clips.listing.embedded import row_url
from transfer_jax.runtime.errors import UserError

LONGEST = 4096  # bytes of a path


def parquet_table(local, path, columns) -> pa.Table:
    """The table of a Parquet file at `path`, read from its local copy: columns of bytes are left out.

    A column of clips that holds videos, as bytes or as Hugging Face's structs of bytes and path, becomes one of URLs. columns: {field:
    column} of what the user calls otherwise.
    """
    with pa.parquet.ParquetFile(local) as file:
        schema = file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise ValueError(f'has two columns of one name: {", ".join(schema.names)}')
        called = columns_named.find(schema.names, columns, f'manifest {path}')
        clip = called.get('clip')
        bytes_of = clip is not None and _bytes_field(file, clip)
        caption = called.get('caption')  # of some writers its bytes are not said to be text
        small = [field.name for field in schema if field.name != clip and (field.name == caption or not _has_bytes(field.type))]
        table = file.read(small + [clip] * (clip is not None and not bytes_of and not pa.types.is_struct(schema.field(clip).type)))
        if clip is None or clip in table.column_names:
            return table
        clips = _clips(file, path, clip, bytes_of)
        return table.append_column(clip, clips) if table.num_columns else pa.table({clip: clips})


def _has_bytes(kind):
    """Whether values of a type may be long bytes, which nobody reads."""
    if any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)):
        return True
    return any(_has_bytes(kind.field(i).type) for i in range(kind.num_fields)) if pa.types.is_nested(kind) else False


def _bytes_field(file, clip):
    """The name of the leaf that has the videos' bytes, 'clip' or 'clip.bytes'; '' where clips are paths."""
    kind = file.schema_arrow.field(clip).type
    if pa.types.is_struct(kind):
        return f'{clip}.bytes' if kind.get_field_index('bytes') >= 0 else ''
    if not _has_bytes(kind):
        return ''
    first = next((value for batch in file.iter_batches(1, columns=[clip]) for value in batch[clip].to_pylist() if value), b'')
    return clip if isinstance(first, bytes) and (b'\0' in first or len(first) > LONGEST) else ''


def _clips(file, path, clip, bytes_of):
    """The texts of a column of videos: URLs of those whose bytes are here, else the paths that the structs have."""
    kind = file.schema_arrow.field(clip).type
    paths = [None] * file.metadata.num_rows
    if pa.types.is_struct(kind):
        inside = next((name for name in ('path', 'file_name', 'src', 'url') if kind.get_field_index(name) >= 0), None)
        if inside is None and not bytes_of:
            raise UserError(f'manifest {path}: column {clip} holds neither paths nor the bytes of videos, but {str(kind)[:100]}')
        if inside is not None:
            paths = [value[inside] if value else None for value in file.read([f'{clip}.{inside}'])[clip].to_pylist()]
    here = _have_bytes(file, clip, bytes_of) if bytes_of else [False] * len(paths)
    absolute = path if '://' in path else os.path.abspath(path)
    return pa.array([row_url(absolute, clip, row, name) if there else name
                     for row, (name, there) in enumerate(zip(paths, here, strict=True))], pa.string())


def _have_bytes(file, clip, bytes_of):
    """Whether each row has the bytes of its video: by the file's statistics, else by a look at each row of a group."""
    here, leaf = [], next(i for i in range(len(file.schema)) if file.schema.column(i).path == bytes_of)
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        nulls = getattr(metadata.column(leaf).statistics, 'null_count', None)
        if nulls in (0, metadata.num_rows):
            here += [nulls == 0] * metadata.num_rows
            continue
        for batch in file.iter_batches(1, row_groups=[group], columns=[bytes_of]):
            value = batch[clip][0].as_py()
            here.append((value['bytes'] if isinstance(value, dict) else value) is not None)
    return here
