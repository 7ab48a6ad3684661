"""What the main job's config may hold: one rule a key. The configs in configs/ say what each key is for."""
import pathlib

from tqd_jax.data.buckets import Bucket
from tqd_jax.diffusion import path as flow
from tqd_jax.diffusion import sampler
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.wan.config import PRESETS
from tqd_jax.timesteps import learned as learned_law
from tqd_jax.timesteps import quality as law
from tqd_jax.timesteps.law import BINS, Base
from transfer_jax.runtime.config import Each, boolean, choice, integer, number, optional, sequence, text
from transfer_jax.runtime.errors import UserError

ASSETS = pathlib.Path(__file__).parent / 'assets'

LEARNED = 'learned'  # the kind of law that a file says

RULES = {
    'seed': integer(at_least=0, at_most=2**31 - 1),
    'init_from': optional(text()),
    'data.clips': optional(text()),
    'data.rendered_clips': integer(at_least=8),
    'data.fps': number(above=0, at_most=240),
    'data.buckets': sequence(sequence(integer(at_least=1), length=3)),
    'data.crop': choice('random', 'center'),
    'data.normaliser': choice('rank', 'minmax', 'zscore'),
    'data.dropout': choice('sampler', 'weight', 'none'),
    'data.mix': Each({'rate': number(above=0), 'weight': number(at_least=0)}),
    'data.max_skipped_fraction': number(at_least=0, at_most=1),
    'data.held_out_fraction': number(at_least=0, below=1),
    'data.held_out_clips': integer(at_least=1),
    'data.cache_gb': number(at_least=0),
    'data.scoring_workers': integer(at_least=0),
    'data.workers': integer(at_least=0),
    'data.prefetch': integer(at_least=1),
    'law.kind': choice(*law.LAWS, LEARNED),
    'law.file': optional(text()),
    'law.base': choice('uniform', 'logit_normal', 'density'),
    'law.loc': number(),
    'law.scale': number(above=0),
    'law.density': optional(sequence(number(at_least=0))),
    'law.shift': number(above=0),
    'law.kappa_base': number(above=0),
    'law.kappa_max': number(above=0),
    'law.min_parameter': number(above=0, at_most=1),
    'law.offset': number(),
    'law.strength': number(at_least=0, below=1),
    'model.preset': choice(*PRESETS),
    'model.vocab': integer(at_least=2),
    'model.text_len': integer(at_least=1),
    'model.dtype': choice('float32', 'bfloat16'),
    'model.remat': choice('none', 'dots', 'full'),
    'model.attention': choice('auto', 'xla', 'cudnn'),
    'train.steps': integer(at_least=1),
    'train.batch': integer(at_least=1),
    'train.accumulate': integer(at_least=1),
    'train.optimizer': choice('adamw', 'muon'),
    'train.learning_rate': number(above=0),
    'train.schedule': choice('constant', 'cosine'),
    'train.warmup': integer(at_least=0),
    'train.b1': number(at_least=0, below=1),
    'train.b2': number(at_least=0, below=1),
    'train.weight_decay': number(at_least=0),
    'train.clip_norm': number(above=0),
    'train.ema': number(at_least=0, below=1),
    'train.path': choice(*flow.KINDS),
    'train.prediction': choice(*flow.PREDICTIONS),
    'train.precondition': optional(sequence(number(), length=2)),
    'train.caption_dropout': number(at_least=0, at_most=1),
    'train.stratified': boolean(),
    'mesh.data': integer(at_least=-1),
    'mesh.fsdp': integer(at_least=1),
    'log_every': integer(at_least=1),
    'eval.every': integer(at_least=1),
    'eval.clips_per_quadrant': integer(at_least=1),
    'align.clips': integer(at_least=3),
    'align.chunks': integer(at_least=3),
    'align.buckets': integer(at_least=2),
    'align.draws': integer(at_least=1),
    'align.look': choice('blur', 'noise', 'resolution'),
    'align.severity': number(above=0, at_most=1),
    'align.speed': number(at_least=0, below=1),
    'learn.by': choice(*learned_law.BY),
    'learn.target': optional(text()),
    'learn.chunks': integer(at_least=6),
    'learn.chunk': integer(at_least=1),
    'learn.buckets': integer(at_least=2),
    'sample.captions': optional(sequence(text())),
    'sample.clips': integer(at_least=1),
    'sample.steps': integer(at_least=1),
    'sample.solver': choice(*sampler.SOLVERS),
    'sample.guidance': number(at_least=0),
    'sample.shift': number(above=0),
    'checkpoint.every': integer(at_least=1),
    'checkpoint.keep': integer(at_least=1),
}

# what a resumed run may change: how long, how often, how watched and on what machine, but nothing that its numbers depend on
FREE = ('train.steps', 'law.file', 'log_every', 'eval.every', 'eval.clips_per_quadrant', 'align', 'learn', 'sample', 'checkpoint', 'mesh',
        'data.workers', 'data.prefetch', 'data.scoring_workers', 'data.cache_gb')


def law_config(config):
    """The LawConfig of config.law. Raises UserError, naming the keys, where they contradict each other."""
    section = config.law
    if section.file is not None:
        raise UserError(f'config.law.file = {section.file!r} wants config.law.kind = "learned", and it is {section.kind!r}')
    if (section.base == 'density') != (section.density is not None):
        raise UserError(f'config.law.base = {section.base!r} and config.law.density = {section.density!r}: '
                        'give a density with the base "density", and only there')
    if section.kind == 'beta' and section.base != 'uniform':
        raise UserError(f'config.law.kind = "beta" draws t itself from a Beta law and has no base; '
                        f'law.base = {section.base!r} wants law.kind = "exact_base"')
    base = {'uniform': Base(), 'logit_normal': Base(loc=section.loc, scale=section.scale)}
    if section.density is not None:
        base['density'] = _named('law.density', Base, density=tuple(section.density))
    names = ('kind', 'shift', 'kappa_base', 'kappa_max', 'min_parameter', 'offset', 'strength')
    return _named('law', law.LawConfig, base=base[section.base], **{name: section[name] for name in names})


def check_learned(config):
    """Raises UserError where other keys contradict law.kind = 'learned', whose file says when and how often each kind teaches."""
    section = config.law
    if section.file is None:
        raise UserError('config.law.kind = "learned" wants config.law.file, the law.json that --mode=learn wrote')
    if (section.base, section.shift, section.density) != ('uniform', 1.0, None):
        raise UserError('config.law.kind = "learned" is a law of t itself: leave law.base = "uniform", law.shift = 1, law.density = None')
    if config.data.dropout == 'none':
        raise UserError('config.law.kind = "learned" is how often each kind is drawn as well as when: config.data.dropout is "sampler" or '
                        '"weight" with it, not "none"')
    if config.data.mix:
        raise UserError('config.law.kind = "learned" says how often each clip is drawn: leave config.data.mix empty')


def check_whole(config):
    """What no single key's rule can see; raises UserError."""
    if config.law.kind == LEARNED:
        check_learned(config)
    else:
        law_config(config)
    if config.learn.chunks % 2:
        raise UserError(f'config.learn.chunks = {config.learn.chunks} is odd, and they are cut into two folds')
    if BINS % config.learn.buckets:
        raise UserError(f'config.learn.buckets = {config.learn.buckets} does not divide {BINS}, the bins of a tabulated law')
    patch = PRESETS[config.model.preset].patch
    for w, h, f in config.data.buckets:
        _named('data.buckets', Bucket, width=w, height=h, frames=f)
        _named(f'data.buckets: {(w, h, f)} (width, height, frames)', PixelCodec().check, frames=f, height=h, width=w, patch=patch)
    if config.train.precondition is not None and config.train.precondition[1] <= 0:
        raise UserError(f'config.train.precondition = {tuple(config.train.precondition)}: (mean, standard deviation), the second positive')
    if config.align.clips < config.align.chunks:
        raise UserError(f'config.align.clips = {config.align.clips} is less than align.chunks = {config.align.chunks}: '
                        'a chunk has at least one clip')
    if config.train.batch % config.train.accumulate:
        raise UserError(f'config.train.batch = {config.train.batch} is not divisible by train.accumulate = {config.train.accumulate}')


def _named(key, make, **arguments):
    try:
        return make(**arguments)
    except ValueError as error:
        raise UserError(f'config.{key}: {error}') from None
