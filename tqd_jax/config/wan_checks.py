"""Checks of the main job's config that involve config.wan and config.lora: which keys go with published weights, and which do not."""
import dataclasses
import re

from tqd_jax.config.pretrained import FLOATS
from transfer_jax.runtime.errors import UserError

PIXELS = ' (on pixels: --config=configs/pixels.py)'  # ends an error about a key that goes without published weights
OFFICIAL = ('negative', 'steps', 'guidance', 'shift')  # keys of config.sample whose None is what the model's authors use

IGNORED = {  # (section, key) that a run on published weights does not read, and what it reads in its place
    ('data', 'cache_gb'): 'the cache holds all latents', ('model', 'vocab'): 'UMT5 reads the captions',
    ('model', 'text_len'): 'UMT5 reads the captions'}


def check_pretrained(config):
    """Raises UserError, naming both keys, where a key contradicts config.wan.path or config.train.trained."""
    if config.wan.path is None:
        _check_without_weights(config)
    else:
        _check_with_weights(config)
    if config.train.trained != 'lora' and (other := changed(config.lora)):
        raise UserError(f'config.lora.{other} = {getattr(config.lora, other)!r} wants config.train.trained = "lora", '
                        f'and it is {config.train.trained!r}')
    _check_kernels(config.train)
    _check_expressions(config)


def _check_kernels(train):
    """Adapters are no kernels, of which alone weight decay and Muon are."""
    if train.trained == 'lora' and (other := changed(train, ('optimizer', 'weight_decay'))):
        raise UserError(f'config.train.{other} = {getattr(train, other)!r} acts on kernels alone, and config.train.trained = "lora" trains '
                        'none: leave it out')


def changed(section, names=None):
    """The first key of a section, among `names` or all, whose value is not its default, or None."""
    plain = type(section)()
    names = [field.name for field in dataclasses.fields(section)] if names is None else names
    return next((name for name in names if getattr(section, name) != getattr(plain, name)), None)


def _check_without_weights(config):
    if config.model.preset is None:
        raise UserError(f'config.model.preset = None takes the sizes of published weights: name them by config.wan.path{PIXELS}')
    if other := changed(config.wan, [field.name for field in dataclasses.fields(config.wan) if field.name != 'sizes']):
        raise UserError(f'config.wan.{other} = {getattr(config.wan, other)!r} wants config.wan.path, the weights that it is about'
                        f'{PIXELS}')
    if other := changed(config.data, ('cache', 'windows')):
        raise UserError(f'config.data.{other} = {getattr(config.data, other)!r} is about encoded clips and wants config.wan.path: '
                        'pixels are read from the clips themselves')
    if other := next((name for name in OFFICIAL if getattr(config.sample, name) is None), None):
        raise UserError(f'config.sample.{other} = None stands for what the authors of published weights use, and there is no '
                        'config.wan.path: give a value')
    if config.lora.init_from is not None:
        raise UserError(f'config.lora.init_from = {config.lora.init_from!r} wants config.wan.path: a LoRA file is of published weights')
    if isinstance(config.sample.guidance, tuple | list):
        raise UserError(f'config.sample.guidance = {config.sample.guidance!r}: two values are for a model with two experts')


def _check_with_weights(config):
    if config.model.preset is not None:
        raise UserError(f'config.model.preset = {config.model.preset!r}: with config.wan.path the sizes are those of the weights, '
                        f'so set config.model.preset=None{PIXELS}')
    _check_ignored(config)
    if config.train.trained == 'full' and config.wan.expert is None and config.wan.storage not in FLOATS:
        raise UserError(f'config.wan.storage = {config.wan.storage!r} is of kernels that training does not change, and with '
                        'config.train.trained = "full" there are none: leave it out')
    if config.init_from is not None:
        raise UserError(f'config.init_from = {config.init_from!r}, and config.wan.path names other weights to start from: '
                        f'set config.init_from=None; a LoRA goes on by config.lora.init_from{PIXELS}')
    if other := changed(config.train, ('path', 'prediction')):
        raise UserError(f'config.train.{other} = {getattr(config.train, other)!r}: Wan\'s weights predict the flow on the rectified '
                        f'path{PIXELS}')
    if config.train.precondition is not None:
        raise UserError(f'config.train.precondition = {config.train.precondition}: the weights of Wan predict the target itself; '
                        f'set config.train.precondition=None{PIXELS}')


def _check_ignored(config):
    ignored = {(section, name): why for (section, name), why in IGNORED.items() if changed(getattr(config, section), (name,))}
    if ignored:
        told = ', '.join(f'config.{section}.{name} ({why})' for (section, name), why in ignored.items())
        raise UserError(f'a run on config.wan.path does not read {told}: leave {"it" if len(ignored) == 1 else "them"} out{PIXELS}')


def _check_expressions(config):
    expressions = {'train.trained': config.train.trained, 'lora.targets': config.lora.targets}
    for key, value in expressions.items():
        if isinstance(value, str):
            try:
                re.compile(value)
            except re.error as error:
                raise UserError(f'config.{key} = {value!r} is no regular expression: {error}') from None
