"""Lines for the user on the captions of clips: how many have one, from where, an example, and what lies there unread."""
import pyarrow as pa
import pyarrow.compute as pc

SHOWN = 80  # letters of an example
NAMED = 4  # places and files that a line names


def caption_lines(table: pa.Table, origins: dict, unread: tuple, flag: str) -> list[str]:
    """Lines on a table's columns caption and captions. origins: {where captions come from: clips}. unread: what may hold captions.

    flag: the name of the key that says which columns are read.
    """
    total = len(table)
    filled = pc.not_equal(pc.fill_null(table['caption'], ''), '')
    count = pc.sum(filled).as_py() or 0
    if not count:
        where = f': there is {_some(unread)}, which is not read; {flag} names a column' if unread else ''
        return [f'WARNING: NONE of {total} clips has a caption{where}']
    row = pc.index(filled, True).as_py()
    text = table['caption'][row].as_py()
    example = f'{table["clip"][row].as_py()}: {text[:SHOWN]!r}{"..." if len(text) > SHOWN else ""}'
    from_where = f' ({_some([f"{clips} from {place}" for place, clips in origins.items()])})' if origins else ''
    lines = [f'{count} of {total} clips have a caption{from_where}; the first is of {example}']
    if count < total:
        bare = table['clip'][pc.index(filled, False).as_py()].as_py()
        lines.append(f'without a caption: {total - count} of {total} clips, the first is {bare}')
        lines += [f'not read for captions: {_some(unread)}'] if unread else []
    return lines + _several_line(table)


def _several_line(table):
    if 'captions' not in table.column_names:
        return []
    counts = pc.fill_null(pc.list_value_length(table['captions']), 0)
    several = pc.sum(pc.greater(counts, 1)).as_py()
    of = '1 clip has' if several == 1 else f'{several} clips have'
    return [f'{of} several captions, {pc.max(counts).as_py()} at most'] if several else []


def _some(texts):
    texts = list(texts)
    return ', '.join(texts[:NAMED]) + (f' and {len(texts) - NAMED} more' if len(texts) > NAMED else '')
