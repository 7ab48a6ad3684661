"""The keys of the main job that are about clips and their timestep distributions: config.data and config.law."""
import dataclasses

from tqd_jax.data.several import CAPTIONS
from tqd_jax.timesteps import quality
from transfer_jax.runtime.config import boolean, choice, each, integer, key, number, optional, paths, sequence, text

LEARNED = 'learned'  # the kind of law that a file describes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """How one source of clips is mixed in."""
    rate: float = key(1.0, number(above=0), 'how often its clips are drawn, relative to other sources')
    weight: float = key(1.0, number(at_least=0), 'of its clips in the loss')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Clips: which, in which shapes, and how they are loaded."""
    clips: str | None = key(None, optional(paths()), "a folder, a manifest, a URL, or 'name=path,name=path'; "
                             'None: those of data.cache, or the embedded library; a resumed run is held to their contents', free=True)
    allow_changes: bool = key(False, boolean(), 'a resumed run goes on although clips, captions, or keys that say so, are not as they '
                               'were: in a new order from there, recorded in changes.jsonl', free=True)
    columns: str | None = key(None, optional(text()), "names of a manifest's columns, as 'clip=video,caption=prompt'; None: found by "
                              'the usual names; caption=filename: captions are the names of the files', free=True)
    captions: str = key('draw', choice(*CAPTIONS), 'of a clip with several: one is drawn for each example; the first alone; all of '
                        'them joined into one', by_leave=True)
    rendered_clips: int | None = key(240, optional(integer(at_least=8)), 'clips of the embedded library, which is rendered where neither '
                                     'data.clips nor data.cache names any; None: never')
    fps: float = key(8, number(above=0, at_most=240), 'frames a second that the model sees')
    buckets: tuple = key(((32, 32, 8),), sequence(sequence(integer(at_least=1), length=3), example='((64, 48, 9),)'),
                         'shapes of a batch, (width, height, frames) in pixels; a clip takes the nearest')
    background: str = key('black', choice('black', 'white'), 'what shows through transparent pictures')
    deinterlace: str = key('never', choice('never', 'flagged', 'always'), 'flagged: frames that the file marks as '
                           'interlaced; always: all frames')
    crop: str = key('random', choice('random', 'center'), 'where a frame is cropped to its bucket', by_leave=True)
    normaliser: str = key('rank', choice('rank', 'minmax', 'zscore'), 'how raw scores become mq and vq in '
                          '[0, 1]')
    camera: bool = key(True, boolean(), "whether the camera's motion counts in mq; False: only what moves against it "
                       'does. A scores.parquet keeps its own')
    dropout: str = key('sampler', choice('sampler', 'weight', 'none'), 'quality dropout by max(mq, vq): how '
                       'often a clip is drawn (sampler), or how much it weighs in the loss (weight)',
                       by_leave=True)
    mix: dict = each(Source, {}, 'sources, by their names; empty mixes by number of clips, with weight 1', by_leave=True)
    max_skipped_fraction: float = key(0.25, number(at_least=0, at_most=1), 'the run does not start where '
                                      'more clips than this cannot be used', free=True)
    held_out_fraction: float = key(0.1, number(at_least=0, below=1), 'of each quality quadrant, for '
                                   'validation', by_leave=True)
    held_out_clips: int = key(64, integer(at_least=1), 'of each quality quadrant for validation, at most',
                              by_leave=True)
    cache: str | None = key(None, optional(paths()), 'with wan.path: the folder of scores, latents and text features '
                            'that tqd_jax.encode wrote; None: the folder `cache` of the workdir', free=True)
    windows: int = key(1, integer(at_least=1), 'with wan.path: windows of a clip that are encoded, evenly spread '
                       'over its time')
    cache_gb: float = key(4.0, number(at_least=0), 'without wan.path: decoded clips are cached in the workdir, or below '
                          'TMPDIR where that is a URL, if the library takes no more; 0: never', free=True)
    scoring_workers: int = key(2, integer(at_least=0), 'processes that score; 0 scores in the main process',
                               free=True)
    workers: int = key(0, integer(at_least=0), 'processes that load; 0 loads in threads', free=True)
    prefetch: int = key(4, integer(at_least=1), 'batches that are loaded ahead', free=True)


def renders(clips, cache, rendered_clips):
    """Whether a run with these values of config.data renders the embedded library."""
    return clips is None and cache is None and rendered_clips is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """The timestep distribution of every clip, made from its scores."""
    kind: str = key('beta', choice(*quality.LAWS, LEARNED), "beta: TQD's; exact_base: TQD's tilt of the "
                    'base; offset, thresholds: a shift of logit(t); min_noise: a lower bound of t; uniform: the base '
                    'alone; learned: from law.file')
    file: str | None = key(None, optional(paths()), 'of kind learned: the law.json that --mode=learn wrote',
                           free=True)
    base: str = key('uniform', choice('uniform', 'logit_normal', 'density'), 'the distribution that all '
                    'kinds but beta and learned change', by_leave=True)
    loc: float = key(0.0, number(), 'of the logit-normal base: mean of logit(t)', by_leave=True)
    scale: float = key(1.0, number(above=0), 'of the logit-normal base: standard deviation of logit(t)', by_leave=True)
    density: tuple | None = key(None, optional(sequence(number(at_least=0))), 'of the base density: values '
                                'on equal bins of t', by_leave=True)
    shift: float = key(1.0, number(above=0), 'flow shift s: t -> s t / (1 + (s - 1) t)', by_leave=True)
    shift_by_tokens: tuple | None = key(None, optional(sequence(sequence(number(above=0), length=2), length=2)),
                                        'two points (tokens, shift) of a line in their logarithms, by which the tokens of a '
                                        'bucket give its flow shift; None: law.shift for all buckets', by_leave=True)
    kappa_base: float = key(2.0, number(above=0), 'of kind beta: concentration at mq = vq, at most '
                            'law.kappa_max; 2 makes t uniform there', by_leave=True)
    kappa_max: float = key(8.0, number(above=0), 'TQD: concentration at |mq - vq| = 1, at least '
                           'law.kappa_base; larger is a narrower distribution', by_leave=True)
    min_parameter: float = key(0.2, number(above=0, at_most=1), 'TQD: lower bound of both Beta parameters, '
                               'since the density would diverge at |mq - vq| = 1', by_leave=True)
    offset: float = key(1.1, number(), 'of kinds offset and thresholds: how far logit(t) is shifted', by_leave=True)
    motion_threshold: float = key(0.5, number(at_least=0, at_most=1), 'of kind thresholds: mq from which on a '
                                  'clip moves well', by_leave=True)
    visual_threshold: float = key(0.5, number(at_least=0, at_most=1), 'of kind thresholds: vq from which on a '
                                  'clip looks good', by_leave=True)
    strength: float = key(0.5, number(at_least=0, below=1), 'of kind min_noise: t >= strength (1 - vq)', by_leave=True)
