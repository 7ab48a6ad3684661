"""Videos of a folder that control others, as depth, pose or edges of theirs: in a folder that says so, or in a column of a table."""
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions.of_rows import whole_names
from tqd_jax.clips.listing.names import plain

KINDS = 'controls?|condition(?:ing|s)?|depth|canny|pose|openpose|masks?|vace|reference|scribble|hed|lineart|sketch'
WORDS = '(?:_?(?:videos?|clips|maps?|dir|directory|path))?'
FOLDER = rf'(?:^|/)(?:{KINDS}){WORDS}/[^/]*$'  # a clip right in such a folder


def control_lines(clips: pa.Array, tables: list[tuple[pa.Table, str]]) -> list[str]:
    """[one line on the clips that control others, how many, the first, and how to leave them out], or [].

    clips: the paths of a folder's videos. tables: its tables of captions, with their files' names. A clip is a control where a table has it
    in a column that is called so (control_video), or where it lies in a folder that is called so and a clip outside has its name.
    """
    listed = _of_columns(clips, tables)
    if listed is not None:
        mask, table = listed
        return [_line(clips.filter(mask), f'name the table, {table}')]
    inside = pc.match_substring_regex(clips, FOLDER, ignore_case=True)
    others = clips.filter(pc.invert(inside))
    twins = clips.filter(inside)
    twins = twins.filter(pc.is_in(_stems(twins), value_set=_stems(others)))
    return [_line(twins, _without(twins[0].as_py(), others))] if len(twins) else []


def _of_columns(clips, tables):
    """(mask of the clips that a table has as controls, the table's name), or None."""
    for table, name in tables:
        for column in table.column_names:
            texts = table[column]
            if pc.match_substring_regex(pa.array([plain(column)]), f'^(?:{KINDS}){WORDS}$')[0].as_py() and pa.types.is_string(texts.type):
                paths = pa.array([places.join(places.parent(name), text) for text in texts.drop_null().unique().to_pylist()], pa.string())
                mask = pc.is_in(whole_names(clips), value_set=whole_names(paths))
                if pc.any(mask).as_py():
                    return mask, name
    return None


def _line(controls, way):
    return (f'clips that may only control others, and count like any clip: {len(controls)}, the first is {controls[0]}; '
            f'to leave them out, {way}')


def _without(control, others):
    """What to do: name the folder that all other videos lie in, or a pattern of it where the controls lie below; else list these videos."""
    folders = pc.replace_substring_regex(others, '/[^/]*$', '').unique().to_pylist()
    if len(folders) > 1:
        return 'list the others in a table, or move these to another place'
    pattern = f"'{folders[0]}/*{places.ending(others[0].as_py())}'"
    return f'name {pattern if control.startswith(f"{folders[0]}/") else folders[0]}'


def _stems(names):
    return pc.replace_substring_regex(pc.replace_substring_regex(names, '^.*/', ''), r'\.[^./]*$', '')
