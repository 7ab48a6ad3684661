"""Checks of the main job's config that involve several keys, and the law that it describes."""
import dataclasses

from tqd_jax.config.data import LEARNED
from tqd_jax.config.wan_checks import changed, check_pretrained
from tqd_jax.data.buckets import Bucket
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.wan.config import PRESETS
from tqd_jax.timesteps import quality as law
from tqd_jax.timesteps.law import BINS, Base
from transfer_jax.runtime.config import allowed_keys
from transfer_jax.runtime.errors import UserError


def fixed_keys(config):
    """Keys that a resumed run may change in general, and one of this config may not: a cosine is as long as its run."""
    return () if config.train.schedule == 'constant' else ('train.steps',)


def keys_by_leave(config):
    """Keys that a resumed run of this config may change, since config.data.allow_changes says so."""
    return (*allowed_keys(type(config)), *fixed_keys(config)) if config.data.allow_changes else ()


def law_config(section):
    """The LawConfig of the section config.law. Raises UserError, naming the keys, where they contradict each other."""
    if section.file is not None:
        raise UserError(f'config.law.file = {section.file!r} wants config.law.kind = "learned", and it is {section.kind!r}')
    check_shift(section)
    if section.base != 'logit_normal' and (other := changed(section, ('loc', 'scale'))):
        raise UserError(f'config.law.base = {section.base!r} does not read law.{other} = {getattr(section, other)!r}: '
                        'it is of the base "logit_normal"')
    if (section.base == 'density') != (section.density is not None):
        raise UserError(f'config.law.base = {section.base!r} and config.law.density = {section.density!r}: '
                        'give a density with the base "density", and only there')
    if section.kind == 'beta' and section.base != 'uniform':
        raise UserError(f'config.law.kind = "beta" draws t itself from a Beta law and has no base; '
                        f'law.base = {section.base!r} wants law.kind = "exact_base"')
    base = {'uniform': Base(), 'logit_normal': Base(loc=section.loc, scale=section.scale)}
    if section.density is not None:
        base['density'] = _named('law.density', Base, density=tuple(section.density))
    if section.kappa_base > section.kappa_max:
        raise UserError(f'config.law.kappa_base = {section.kappa_base} is above config.law.kappa_max = {section.kappa_max}: '
                        'law.kappa_max is at least law.kappa_base')
    names = ('kind', 'shift', 'kappa_base', 'kappa_max', 'min_parameter', 'offset', 'strength', 'motion_threshold',
             'visual_threshold')
    return _named('law', law.LawConfig, base=base[section.base], **{name: getattr(section, name) for name in names})


def check_shift(section):
    """Raises UserError where config.law.shift_by_tokens and law.shift are both given, or its two points have the same tokens."""
    points = section.shift_by_tokens
    if points is not None and section.shift != 1:
        raise UserError(f'config.law.shift = {section.shift} and config.law.shift_by_tokens = {points}: give one of them')
    if points is not None and points[0][0] == points[1][0]:
        raise UserError(f'config.law.shift_by_tokens = {points}: the two points must have different numbers of tokens')


def check_learned(config):
    """Raises UserError where other keys contradict law.kind = 'learned', whose file says when and how often each group of clips teaches."""
    section = config.law
    if section.file is None:
        raise UserError('config.law.kind = "learned" wants config.law.file, the law.json that --mode=learn wrote')
    if other := changed(section, [field.name for field in dataclasses.fields(section) if field.name not in ('kind', 'file')]):
        raise UserError(f'config.law.kind = "learned" reads law.file alone: leave law.{other} at its default')
    if config.data.dropout == 'none':
        raise UserError('config.law.kind = "learned" is how often each group is drawn as well as when: config.data.dropout is "sampler" or '
                        '"weight" with it, not "none"')
    if config.data.mix:
        raise UserError('config.law.kind = "learned" says how often each clip is drawn: leave config.data.mix empty')


def check_whole(config):
    """Checks what no single key's rule can see; raises UserError."""
    if config.law.kind == LEARNED:
        check_learned(config)
    else:
        law_config(config.law)
    check_compare(config)
    check_gradients(config.align, config.learn)
    check_pretrained(config)
    check_weights(config)
    if config.wan.path is None:  # else the weights decide: tqd_jax.foundations.sources
        patch = PRESETS[config.model.preset].patch
        check_shapes(config.data.buckets, PixelCodec(), patch)
        check_shapes(config.sample.shapes or (), PixelCodec(), patch, 'sample.shapes')
    if config.train.precondition is not None and config.train.precondition[1] <= 0:
        raise UserError(f'config.train.precondition = {config.train.precondition}: (mean, standard deviation), '
                        'the second positive')
    if config.mesh.reduce == 'bfloat16' and config.model.dtype != 'bfloat16':
        raise UserError(f'config.mesh.reduce = "bfloat16" wants config.model.dtype = "bfloat16", and it is {config.model.dtype!r}')
    first, last = config.profile.steps or (1, 1)
    if first > min(last, config.train.steps):
        raise UserError(f'config.profile.steps = {config.profile.steps} traces no step: the first is at most the last, and at most '
                        f'config.train.steps = {config.train.steps}')
    if config.train.batch % config.train.accumulate:
        raise UserError(f'config.train.batch = {config.train.batch} is not divisible by '
                        f'train.accumulate = {config.train.accumulate}')


def compared_law(config):
    """config.law as the second run of config.compare has it, or None where there is no second run.

    Base and flow shift are those of config.law; what the other kind does not read has its default.
    """
    if config.compare in (None, config.law.kind):
        return None
    own = {field.name for field in dataclasses.fields(law.LawConfig)} - {'kind', 'base', *law.fields_of(config.compare)}
    plain = type(config.law)()
    return dataclasses.replace(config.law, kind=config.compare, file=None, **{name: getattr(plain, name) for name in own})


def check_compare(config):
    """Raises UserError where the second run of config.compare cannot have the other keys of config.law."""
    second = compared_law(config)
    if second is not None:
        try:
            law_config(second)
        except UserError as error:
            raise UserError(f'config.compare = {config.compare!r}, and a second run by that law has the other keys of config.law: {error}'
                            ) from None


def check_weights(config):
    """Raises UserError where clips have loss weights that cancel: a loss is divided by the weights of its batch."""
    if config.train.batch > 1:
        return
    if config.data.dropout == 'weight':
        raise UserError('config.data.dropout = "weight" weighs the clips of a batch against each other, and config.train.batch = 1: '
                        'take "sampler", or a larger batch')
    if len({source.weight for source in config.data.mix.values()}) > 1:
        raise UserError('config.data.mix has different loss weights, and config.train.batch = 1: they weigh the clips of a batch against '
                        'each other, so take rates, or a larger batch')


def check_gradients(align, learn):
    """Raises UserError where the keys of config.align or of config.learn do not fit each other."""
    if align.clips < align.chunks:
        raise UserError(f'config.align.clips = {align.clips} is less than align.chunks = {align.chunks}: '
                        'a chunk has at least one clip')
    if learn.chunks % 2:
        raise UserError(f'config.learn.chunks = {learn.chunks} is odd, and they are cut into two folds')
    if BINS % learn.bins:
        raise UserError(f'config.learn.bins = {learn.bins} does not divide {BINS}, the bins of a tabulated law')


def check_shapes(shapes, codec, patch, key='data.buckets'):
    """Raises UserError where one of the shapes (width, height, frames) of a key does not fit the codec or the model's patch."""
    for w, h, f in shapes:
        _named(key, Bucket, width=w, height=h, frames=f)
        _named(f'{key}: {(w, h, f)} (width, height, frames)', codec.check, frames=f, height=h, width=w, patch=patch)


def _named(key, make, **arguments):
    try:
        return make(**arguments)
    except ValueError as error:
        raise UserError(f'config.{key}: {error}') from None
