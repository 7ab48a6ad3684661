"""Captions that are the names of files, a_red_disc.mp4, as some trainers take them."""
import pyarrow as pa
import pyarrow.compute as pc

COLUMN = 'filename'  # what the user calls the column of captions
PROBED = 1000  # clips whose names are looked at
WORDS = r'(?:^|[\s_,-])\pL+[\s_,-]+\pL+[\s_,-]+\pL+(?:$|[\s_,.-])|\p{Han}{4}'  # three words, or letters of a script without spaces


def captions_of_names(clips: pa.ChunkedArray) -> pa.ChunkedArray:
    """The last name of each path or URL without its ending, with spaces for '_'."""
    names = pc.replace_substring_regex(clips, r'(?:\?fps=[\d.]+)?(?:::.*)?$', '')
    names = pc.replace_substring_regex(pc.replace_substring_regex(names, '^.*/', ''), r'\.[^.]*$', '')
    return pc.utf8_trim_whitespace(pc.replace_substring(names, '_', ' '))


def with_captions_of_names(table: pa.Table) -> pa.Table:
    """A table of clips whose captions are their names, in place of all others."""
    table = table.drop_columns([name for name in ('caption', 'captions') if name in table.column_names])
    return table.append_column('caption', captions_of_names(table['clip']))


def names_hint(table: pa.Table, flag: str) -> str:
    """What to do where the names of most clips look like captions, for a line on missing ones; else ''. flag: the key of columns."""
    captions = captions_of_names(table['clip'].slice(0, PROBED))
    alike = pc.mean(pc.match_substring_regex(captions, WORDS).cast(pa.float64())).as_py() or 0
    return f'; if the file names are captions, as {captions[0].as_py()!r}: {flag}=caption={COLUMN}' if alike >= 0.5 else ''
