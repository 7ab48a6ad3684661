"""Lines for the user on the captions of clips: how many have one, from where, an example, and what lies there unread."""
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.captions.file_names import names_hint
from tqd_jax.clips.listing.paths import rows_there
from transfer_jax.runtime.counts import counted, plural

SHOWN = 80  # letters of an example
NAMED = 4  # places and files that a line names


def caption_lines(table: pa.Table, origins: dict, unread: tuple, flag: str) -> list[str]:
    """Lines on the columns caption and captions of a table: of its clips that are there, and how many are not.

    origins: {where captions come from: clips, those too that are not there}. unread: what may hold captions. flag: the name of the key
    that says which columns are read.
    """
    here = rows_there(table)
    return _lines(here, origins, unread, flag, absent=len(table) - len(here))


def _lines(table, origins, unread, flag, absent):
    total = len(table)
    if absent and not total:
        return [f'WARNING: {plural(absent, "the one clip is not there", f"none of the {absent} clips is there")}']
    clips = plural(total, 'clip that is there', 'clips that are there') if absent else plural(total, 'clip')
    gone = f'{absent} of {total + absent} {plural(absent, "is", "are")} not there' if absent else ''
    filled = pc.not_equal(pc.fill_null(table['caption'], ''), '')
    count = pc.sum(filled).as_py() or 0
    if not count:
        where = f': there is {_some(unread)}, which is not read; {flag} names a column' if unread else ''
        return [f'WARNING: NONE of {total} {clips} has a caption{f" ({gone})" if gone else ""}{where}{names_hint(table, flag)}']
    row = pc.index(filled, True).as_py()
    text = table['caption'][row].as_py()
    example = f'{table["clip"][row].as_py()}: {text[:SHOWN]!r}{"..." if len(text) > SHOWN else ""}'
    places = _some([f'from {place}' if absent else f'{number} from {place}' for place, number in origins.items()])
    notes = '; '.join(filter(None, (places, gone)))
    lines = [f'{count} of {total} {clips} {plural(count, "has", "have")} a caption{f" ({notes})" if notes else ""}; the first is of '
             f'{example}']
    if count < total:
        bare = table['clip'][pc.index(filled, False).as_py()].as_py()
        lines.append(f'without a caption: {total - count} of {total} {clips}, the first is {bare}')
        lines += [f'not read for captions: {_some(unread)}'] if unread else []
    return lines + _several_line(table)


def _several_line(table):
    if 'captions' not in table.column_names:
        return []
    counts = pc.fill_null(pc.list_value_length(table['captions']), 0)
    several = pc.sum(pc.greater(counts, 1)).as_py()
    return [f'{counted(several, "clip has", "clips have")} several captions, {pc.max(counts).as_py()} at most'] if several else []


def _some(texts):
    texts = list(texts)
    return ', '.join(texts[:NAMED]) + (f' and {len(texts) - NAMED} more' if len(texts) > NAMED else '')
