"""Captions of clips from tables whose rows name them: one look-up for all tables of a folder, however many there are."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.tables import pieces
from transfer_jax.runtime.counts import counted, plural

NAMED = 4  # tables that lines name


def captions_of_rows(clips: pa.Array, tables: list, names: list[str]) -> tuple[pa.ChunkedArray, list[int], list[str]]:
    """(lists of captions, how many clips have theirs from each table, lines on rows that name no clip).

    tables: with columns clip, caption and perhaps captions, the ones that count first at the beginning; names: theirs. A row names a clip
    by its path, with its ending or without; letters that are composed in one of the two and decomposed in the other are the same. A row
    whose path is nowhere names the clip of the same file name, where there is one such clip and one such row.
    """
    if not tables:
        return several.none(len(clips)), [], []
    of_table = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    named = pa.concat_arrays([whole_names(table['clip'].combine_chunks()) for table in tables])
    own = pa.chunked_array([chunk for table in tables for chunk in _lists_of(table).chunks], several.LISTS).combine_chunks()
    paths = whole_names(clips)
    stems = pc.replace_substring_regex(paths, r'\.[^./]*$', '')
    filled = pc.indices_nonzero(pc.greater(pc.list_value_length(own), 0))
    options = named.take(filled)
    lost = pc.invert(pc.is_in(named, value_set=pa.concat_arrays([paths, stems])))
    place = pc.coalesce(pc.index_in(paths, value_set=options), pc.index_in(stems, value_set=options))
    alike = _of_one_name(paths, pc.if_else(lost.take(filled), options, pa.scalar(None, options.type)))
    rows = filled.take(pc.coalesce(place, alike))
    lists = pc.if_else(pc.is_valid(rows), own.take(pc.fill_null(rows, 0)), several.none(len(clips)).combine_chunks()) if len(own) else \
        several.none(len(clips))
    counts = np.bincount(of_table[rows.drop_null().to_numpy()], minlength=len(tables)).tolist()
    chunked = lists if isinstance(lists, pa.ChunkedArray) else pa.chunked_array([lists], several.LISTS)
    lost = lost.to_numpy(zero_copy_only=False).copy()
    lost[found := filled.take(alike.drop_null()).to_numpy()] = False
    lines = [f'rows that name a clip by its file name alone, in another folder: {len(found)}, the first is '
             f'{_row(tables, of_table, found.min())}'] if len(found) else []
    return chunked, counts, lines + _lost_lines(lost, of_table, tables, names)


def whole_names(clips: pa.Array) -> pa.Array:
    """Paths as absolute ones with their letters composed (NFC), so that two names of one file are equal."""
    whole = lambda clip: clip if places.is_remote(clip) else places.as_text(os.path.abspath(places.as_local(clip)))
    parts = [pa.array(map(whole, piece.to_pylist()), pa.string()) for piece in pieces(pa.chunked_array([clips]))]
    return pc.utf8_normalize(pa.concat_arrays([pa.array([], pa.string()), *parts]), form='NFC')


def _of_one_name(paths, options):
    """For each of the paths the place of the option with its file name, null where two of either have that name."""
    none = pa.scalar(None, paths.type)
    bare = lambda names: pc.if_else(pc.match_substring(names, '::'), none, pc.replace_substring_regex(names, '^.*/', ''))
    ours, theirs = bare(paths), bare(options)
    single = [counts.field('values').filter(pc.equal(counts.field('counts'), 1)) for counts in map(pc.value_counts, (ours, theirs))]
    both = pc.and_(pc.is_in(ours, value_set=single[0].drop_null()), pc.is_in(ours, value_set=single[1].drop_null()))
    return pc.index_in(pc.if_else(both, ours, none), value_set=theirs, skip_nulls=True)


def _row(tables, of_table, row):
    """What a row calls its clip, of all tables' rows."""
    number = of_table[row]
    return tables[number]['clip'][int(row - np.searchsorted(of_table, number))]


def _lists_of(table):
    own = several.lists_of(table['captions'] if 'captions' in table.column_names else table['caption'])
    return several.prefer(own, several.lists_of(table['caption'])) if 'captions' in table.column_names else own


def _lost_lines(lost, of_table, tables, names):
    """Lines on the rows that name no clip, of the first tables that have such rows."""
    counts = np.bincount(of_table[lost], minlength=len(tables))
    wrong = np.flatnonzero(counts)
    starts = np.searchsorted(of_table, np.arange(len(tables)))
    first = lambda number: tables[number]['clip'][int(np.flatnonzero(lost[starts[number]:])[0])]
    lines = [f'{counts[number]} of {counted(len(tables[number]), "row")} of {names[number]} '
             f'{plural(counts[number], "names", "name")} no clip of the folder: the first is {first(number)}'
             for number in wrong[:NAMED]]
    more = wrong[NAMED:]
    return lines + ([f'{counted(counts[more].sum(), "row")} of {counted(len(more), "more table")} '
                     f'{plural(counts[more].sum(), "names", "name")} no clip of the folder'] if len(more) else [])
