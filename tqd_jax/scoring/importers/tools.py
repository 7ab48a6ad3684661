"""The columns of each tool's table: clip, motion, visual quality and caption; and how a table is recognised."""
import dataclasses

from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """Which columns of a tool's table are what; docs/importing.md says where each was seen.

    path_columns, caption: alternatives; the first that is there counts. motion, visual: alternatives likewise, each an expression: a
    column; '-a', where lower is better; 'a + b', the mean of both, each standardised (minus its mean, over its standard deviation).
    Columns within structs are named 'struct.column'. ending: what a path lacks. failed: pairs of a column and the value that the tool
    writes into it where it could not measure.
    """
    name: str
    path_columns: tuple
    motion: tuple = ()
    visual: tuple = ()
    caption: tuple = ()
    ending: str = ''
    failed: tuple = ()


# codec motion vectors; aesthetics of CLIP features
COSMOS = Format(name='cosmos_curate', path_columns=('clip_location',), motion=('motion_score.global_mean',), visual=('aesthetic_score',),
                failed=(('aesthetic_score', -1.0),))
DJ_MOTION, DJ_VISUAL = '__dj__stats__.video_motion_score', '__dj__stats__.video_frames_aesthetics_score'
FORMATS = (
    # z-scores; MQ is the quality of the motion, not only how much there is
    Format(name='videoalign', path_columns=('path', 'video_path'), motion=('reward_MQ', 'MQ'), visual=('reward_VQ', 'VQ'),
           caption=('prompt',)),
    # 0 to 100; its own fusion where there is one, since that does not depend on the other clips of the file
    Format(name='dover', path_columns=('path',),
           visual=('overall/final score', 'technical score + aesthetic score', 'overall', 'technical + aesthetic')),
    # dynamic_degree is yes or no; motion_smoothness is highest where nothing moves, so it is kept and not used
    Format(name='vbench', path_columns=('video_path',), motion=('dynamic_degree',),
           visual=('imaging_quality + aesthetic_quality', 'imaging_quality', 'aesthetic_quality')),
    Format(name='openvid', path_columns=('video',), motion=('motion score',), visual=('aesthetic score',), caption=('caption',)),
    # before Open-Sora, whose aesthetic_score without its flow or text reads the same; 1 to 10
    Format(name='laion', path_columns=('path', 'image_path'), visual=('aesthetic_score', 'AESTHETIC_SCORE', 'aesthetic'),
           caption=('caption',)),
    # UniMatch flow, LAION aesthetics
    Format(name='opensora', path_columns=('path',), motion=('flow',), visual=('aes', 'aesthetic_score'), caption=('text',)),
    Format(name='koala36m', path_columns=('video_path', 'videoID'), ending='.mp4', motion=('motion_score',),
           visual=('clarity_score + aesthetic_score',), caption=('caption',)),
    COSMOS,
    dataclasses.replace(COSMOS, name='nemo_curator'),
    # a sample of several videos becomes several rows
    Format(name='data_juicer', path_columns=('videos',), motion=(DJ_MOTION,), visual=(DJ_VISUAL,), caption=('text',),
           failed=((DJ_MOTION, -1.0), (DJ_VISUAL, 0.0))),
    # Farneback flow
    Format(name='finetrainers', path_columns=('file',), motion=('motion_fb',), visual=('aesthetic_score',)),
    # flow in pixels of the clip: large clips seem to move more
    Format(name='videox_fun', path_columns=('video_path',), motion=('motion_score',), visual=('aesthetic_score', 'aesthetic_score_siglip'),
           caption=('caption',)),
)
FIELDS = {'clip': 'path_columns', 'motion': 'motion', 'visual': 'visual', 'caption': 'caption'}  # what the user calls them


@dataclasses.dataclass(frozen=True)
class Reading:
    """A Format held against a table: columns clip and caption, and the terms ((sign, column), ...) of each axis; None where not there."""
    clip: str | None
    caption: str | None
    motion: tuple | None
    visual: tuple | None

    @property
    def columns(self):
        """Names of all columns that it reads."""
        texts = [name for name in (self.clip, self.caption) if name]
        return (*texts, *(column for _, column in (*(self.motion or ()), *(self.visual or ()))))


def choose(where, names, tool, columns):
    """The Format, and its Reading, of a table with columns `names`, as import_scores's tool and columns say. Raises UserError."""
    formats = {form.name: form for form in FORMATS}
    opening = f'{where} has the columns {", ".join(names)}'
    remedy = f"the tools known are {', '.join(formats)}; of others, say columns={{'clip': ..., 'motion': ..., 'visual': ...}}"
    if tool not in (None, *formats):
        raise UserError(f'{where}: there is no tool {tool!r}; {remedy}')
    if unknown := sorted(columns.keys() - FIELDS.keys()):
        raise UserError(f'{where}: columns has {", ".join(unknown)}, and may have only {", ".join(FIELDS)}; {remedy}')
    if tool is None and not columns:
        return _recognise(names, opening, remedy)
    form = dataclasses.replace(formats.get(tool, Format(name='own', path_columns=('clip',))),
                               **{FIELDS[name]: (column,) for name, column in columns.items()})
    reading = read(form, names)
    lacking = [f'{name} = {column}' for name, column in columns.items() if getattr(reading, name) is None]
    if lacking or not _complete(reading):
        raise UserError(f'{opening}, which lack {", ".join(lacking) or f"the clip or any score of {form.name}"}; {remedy}')
    return form, reading


def _recognise(names, opening, remedy):
    """The format that explains most columns; several that explain as many must read the same ones."""
    fits = [(form, reading) for form in FORMATS if _complete(reading := read(form, names))]
    most = max((len(reading.columns) for _, reading in fits), default=0)
    best = [(form, reading) for form, reading in fits if len(reading.columns) == most]
    if not best:
        raise UserError(f'{opening}, which is no known tool\'s; {remedy}')
    if len({reading for _, reading in best}) > 1:
        raise UserError(f'{opening}, which may be {" or ".join(form.name for form, _ in best)}: say which with tool=; {remedy}')
    return best[0]


def _complete(reading):
    return reading.clip and (reading.motion or reading.visual)


def read(form, names):
    """The Reading of a Format in a table with columns `names`."""
    first = lambda options: next((option for option in options if option in names), None)
    axis = lambda options: next((terms for option in options if (terms := _terms(option, names))), None)
    return Reading(first(form.path_columns), first(form.caption), axis(form.motion), axis(form.visual))


def _terms(expression, names):
    """The terms ((sign, column), ...) of an expression, or None where a column is not there."""
    parts = [expression] if expression in names else expression.split(' + ')
    if not all(part in names or (part.startswith('-') and part[1:] in names) for part in parts):
        return None
    return tuple((1.0, part) if part in names else (-1.0, part[1:]) for part in parts)


def spoken_of(columns):
    """Names of all columns that a format, or the user's `columns`, may mean: these are read even where they are no numbers."""
    options = [option for form in FORMATS for field in FIELDS.values() for option in getattr(form, field)]
    parts = [part for option in ('clip', *options, *columns.values()) for part in (option, *option.split(' + '))]
    return {*parts, *(part.removeprefix('-') for part in parts)}


def plain_text(columns):
    """Names of the columns of paths and captions, of all formats and of the user's `columns`: text, whatever it looks like."""
    options = [option for form in FORMATS for option in (*form.path_columns, *form.caption)]
    return {'clip', *options, *(columns[name] for name in ('clip', 'caption') if name in columns)}
