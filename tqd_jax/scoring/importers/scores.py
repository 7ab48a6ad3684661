"""Scores of other tools: the files of scoring and curation tools -> one table of clip, motion and visual."""
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.captions import several
from tqd_jax.clips.tables import first_line, is_number, read_files, refuse_duplicates
from tqd_jax.scoring.importers.tools import choose, plain_text, spoken_of
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path

DJ_TOKENS = r'<__dj__\w+>\s*|\s*<\|__dj__eoc\|>'  # Data-Juicer's texts say with these where a video stands


def import_scores(path, *, tool=None, columns=None, root=None):
    """A tool's scores as a table: clip (path), motion and visual (float64, higher is better, null where there is none), caption.

    path: a .parquet, .csv, .jsonl or .json file, or a folder of them. tool: a name of FORMATS; by default it is recognised by the
    columns. columns: {'clip', 'motion', 'visual', 'caption': a column or an expression (see Format)}, in place of the tool's, or without a
    tool. root: the folder that relative paths start at, by default the table's. Every numeric column is kept as tool_column; the schema's
    metadata has the tool. Scores of several frames count as their mean; what is not finite is null. Raises UserError where the file, its
    columns or its paths are not understood, a clip is listed twice, or more than half of an axis is null.
    """
    path = local_path(path)
    table, where = read_files(path, spoken_of(columns or {}), plain_text(columns or {})), f'scores {path}'
    form, reading = choose(where, table.column_names, tool, columns or {})
    if _is_list(table[reading.clip].type):
        table = _one_row_a_clip(table, reading.clip)
    numbers = _numbers(where, table, reading, dict(form.failed))
    clips = _clips(where, table[reading.clip], pathlib.Path(root or (path if path.is_dir() else path.parent)), form.ending)
    out = {'clip': clips} | {name: _axis(where, name, getattr(reading, name), numbers, len(clips)) for name in ('motion', 'visual')}
    if reading.caption:
        out |= _captions(where, reading.caption, table[reading.caption])
    out |= {f'{form.name}_{name}': pa.array(values, from_pandas=True) for name, values in numbers.items()}
    return pa.table(out, metadata={'tool': form.name})


def _captions(where, name, column):
    """{'caption': text}, and where a clip has several {'captions': lists}."""
    if _is_list(column.type) and pa.types.is_string(column.type.value_type):
        return several.columns_of(several.lists_of(column))
    try:
        return {'caption': pc.replace_substring_regex(column.cast(pa.string()), DJ_TOKENS, '')}
    except pa.ArrowException:
        fault = 'not UTF-8: save the file as UTF-8' if pa.types.is_binary(column.type) else f'of type {column.type}, not text'
        raise UserError(f'{where}: the caption {name} is {fault}') from None


def merge(tables):
    """One table of the clips of several imports, joined by clip: where one has motion and another visual quality, a row has both.

    Clips are in order of first appearance. Raises UserError where two tables differ on a clip, or one lists it twice.
    """
    clips = pa.chunked_array([chunk for table in tables for chunk in table['clip'].chunks], pa.string()).unique()
    merged = {}
    for number, table in enumerate(tables):
        refuse_duplicates(table['clip'], f'table {number} to merge')
        rows = table.take(pc.index_in(clips, value_set=table['clip'].combine_chunks()))
        for name in rows.column_names:
            agreed = name in merged and name != 'captions'  # of which the first table's count
            merged[name] = _agree(name, clips, merged[name], rows[name]) if agreed else merged.get(name, rows[name])
    return pa.table(merged)


def _agree(name, clips, one, other):
    row = pc.index(pc.not_equal(one, other), True).as_py()
    if row >= 0:
        raise UserError(f'{clips[row]} has {name} {one[row]} in one table and {other[row]} in another: drop the column from one of them')
    return pc.coalesce(one, other)


def _is_list(kind):
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _one_row_a_clip(table, clip):
    """A row for each path of the lists in `clip`: of lists as long, the value of that place; single values as they are; else null."""
    lengths = pc.fill_null(pc.list_value_length(table[clip]), 0).to_numpy()
    parents = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(parents)) - (np.cumsum(lengths) - lengths)[parents]
    columns = {}
    for name in table.column_names:
        values = table[name].combine_chunks()
        if _is_list(values.type):
            aligned = pc.fill_null(pc.list_value_length(values), -1).to_numpy() == lengths
            columns[name] = values.values.take(pa.array(values.offsets.to_numpy()[parents] + place, mask=~aligned[parents]))
        else:
            columns[name] = values.take(pa.array(parents))
    return pa.table(columns)


def _numbers(where, table, reading, failed):
    """{column: float64 [n]} of all numeric columns and the axes'; NaN where a value is missing, not finite, or says that it failed."""
    wanted = set(reading.columns) - {reading.clip, reading.caption}
    names = [field.name for field in table.schema if field.name in wanted or is_number(field.type)]
    floats = {name: _floats(where, name, table[name]) for name in names if name != reading.clip}
    return {name: np.where(np.isfinite(values) & (values != failed.get(name)), values, np.nan) for name, values in floats.items()}


def _floats(where, name, column):
    """float64 [n] of numbers, of lists of numbers (their means), or of texts of either, as a CSV has lists: in brackets."""
    try:
        if pa.types.is_string(column.type):
            comma = pc.index(pc.match_substring_regex(column, r'^[^\[]*,'), True).as_py()
            if comma >= 0:
                raise UserError(f'{where}: {name} is no score: {column[comma]} in row {comma} has a comma; write decimals with a point')
            texts = pc.replace_substring_regex(column, r'[\[\]\s]', '')
            column = pc.split_pattern(pc.if_else(pc.equal(texts, ''), None, texts), ',')
        if not _is_list(column.type):
            return column.cast(pa.float64(), safe=False).to_numpy()
        lists = column.combine_chunks()
        frames = lists.flatten().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise UserError(f'{where}: {name} is no score: {first_line(error)}') from None
    parents = pc.list_parent_indices(lists).to_numpy()
    counts, sums = np.bincount(parents, minlength=len(lists)), np.bincount(parents, frames, minlength=len(lists))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _axis(where, name, terms, numbers, rows):
    if terms is None:
        return pa.nulls(rows, pa.float64())
    signed = [sign * numbers[column] for sign, column in terms]
    values = signed[0] if len(signed) == 1 else np.mean([_standardise(one) for one in signed], axis=0)
    missing = int(np.isnan(values).sum())
    if missing > rows / 2:
        raise UserError(f'{where}: {missing} of {counted(rows, "row")} {plural(missing, "has", "have")} no finite {name} '
                        f'({", ".join(column for _, column in terms)}), more than '
                        'half: complete it, or leave it out with columns=')
    return pa.array(values, from_pandas=True)


def _standardise(values):
    """(x - mean) / sd over what is finite; 0 where all are equal."""
    finite = values[~np.isnan(values)]
    return (values - finite.mean()) / (finite.std() or 1.0) if finite.size else values


def _clips(where, column, root, ending):
    """root / path for each path, as pathlib has it but on a million at once; addresses of other machines as they are."""
    if not pa.types.is_string(column.type) or (empty := pc.index(pc.fill_null(pc.equal(column, ''), True), True).as_py()) >= 0:
        kind = 'bytes, not UTF-8' if pa.types.is_binary(column.type) else f'of type {column.type}'
        value = kind if not pa.types.is_string(column.type) else f'{column[empty].as_py()!r} in row {empty}'
        raise UserError(f'{where}: the clip is {value}, not a path')
    names = pc.if_else(pc.ends_with(column, ending), column, pc.binary_join_element_wise(column, ending, ''))
    tidy = pc.replace_substring_regex(pc.replace_substring_regex(names, '/(\\.?/)+', '/'), '^\\./', '')
    below = pc.binary_join_element_wise(str(root / '_')[:-1], tidy, '')
    paths = pc.if_else(pc.starts_with(tidy, '/'), tidy, below)
    clips = pc.if_else(pc.match_substring(names, '://'), names, paths)
    refuse_duplicates(clips, where)
    return clips
