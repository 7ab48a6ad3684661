"""Checks of the transfer job's config that involve several keys, or the data; each raises UserError."""
import numpy as np

from transfer_jax.experiment.methods.registry import NEED_CLASSES, NEED_FOLDS, NEED_STEPS, NEED_VALIDATION
from transfer_jax.experiment.scores.absent import absent_classes
from transfer_jax.runtime.errors import UserError


def check_whole(config):
    """Checks that involve several keys, before any data is read; raises UserError."""
    for name in ('targets', 'sources'):
        values = getattr(config, name) or ()
        if len(set(values)) < len(values):
            raise UserError(f'config.{name} names a domain twice: {", ".join(values)}')
    methods = config.transfer.methods
    if len(set(methods)) < len(methods):
        raise UserError(f'config.transfer.methods names a method twice: {", ".join(methods)}')
    check_solver(config)
    for name in methods:
        if name in NEED_VALIDATION and config.data.validation == 0:
            raise UserError(f'the method {name!r} chooses by validation examples, and '
                            'config.data.validation = 0; ask for some, or leave it out')


def check_solver(config):
    """Checks that config.train.solver = 'exact' has a linear model; raises UserError."""
    train = config.train
    if train.solver == 'exact' and not is_linear(config.data, config.model):
        raise UserError('config.train.solver = "exact" is for a linear model, or the head of a frozen trunk, without '
                        f'augmentation; the model is {config.model.kind!r} with {config.model.trainable!r} trained and '
                        f'config.data.augment = {config.data.augment!r}: use "adam"')


def methods_of(config):
    """(methods that are run, lines on those that are left out); raises UserError where none is left."""
    why = dict.fromkeys(NEED_CLASSES, 'it needs classes, and config.data.task = "regression"') if config.data.task == 'regression' else {}
    if config.train.solver == 'exact':
        why |= dict.fromkeys(NEED_STEPS, 'with exact fits it is otqms_exact')
    if min(config.transfer.folds, config.data.shots) < 2:
        why |= dict.fromkeys(NEED_FOLDS, f'it chooses on folds of the target, and config.transfer.folds = {config.transfer.folds}, '
                                         f'config.data.shots = {config.data.shots}')
    methods = tuple(name for name in config.transfer.methods if name not in why)
    notes = tuple(f'{name} is left out: {why[name]}' for name in config.transfer.methods if name in why)
    if not methods:
        raise UserError(f'config.transfer.methods: {"; ".join(notes)}, and no other is named')
    return methods, notes


def is_linear(data, model):
    """Whether the fits of a run are those of a linear model on fixed features."""
    return data.augment == 'none' and (model.kind == 'linear' or has_trunk_features(data, model))


def has_trunk_features(data, model):
    """Whether a run trains a head on the features of a frozen trunk, computed once: augmentation would change them."""
    return model.trainable == 'head' and model.kind != 'linear' and data.augment == 'none'


def keeps_sparse(config):
    """Whether a run has use for sparse features as they are: its fits are exact ones of a linear model."""
    return config.train.solver == 'exact' and config.model.kind == 'linear'


def check_inputs(data, model, shape):
    """Checks that data and model have no setting that inputs of this shape, (F,) or (H, W, C), would ignore.

    Raises UserError.
    """
    images = len(shape) == 3
    features = not images or has_trunk_features(data, model)
    of_images, of_features = (images, 'images'), (features, 'features')
    for name, (fits, what) in {'augment': of_images, 'mean': of_images, 'std': of_images,
                               'rows': of_features, 'columns': of_features}.items():
        value = getattr(data, name)
        if not fits and value not in ('none', 'auto', (0.0,), (1.0,)):
            raise UserError(f'config.data.{name} = {value!r} is for {what}, and the inputs have shape '
                            f'{shape}; leave it at its default')
        if images and name in ('mean', 'std') and len(value) not in (1, shape[-1]):
            raise UserError(f'config.data.{name} = {value!r}, and the images have {shape[-1]} channels; '
                            'give one number, or one a channel')


def lacking(domains, splits, targets, metrics):
    """A line, or none, on targets whose test rows lack a class, by their splits {name: one a seed}."""
    labels = {domains.names[target]: [domains.domains[target].labels[split.test] for split in splits[domains.names[target]]]
              for target in targets}
    return absent_classes(labels, domains.classes, metrics, 'target')


def check_domains(config, domains):
    """(targets, sources) as numbers of domains.

    Raises UserError for unknown names, fewer than two domains or classes, and a target that lacks a class.
    """
    if domains.classes is not None and len(domains.classes) < 2:
        raise UserError(f'the data have one class, {domains.classes[0]!r}: there is nothing to tell apart; give examples of another, or '
                        "config.data.task = 'regression'")
    if len(domains.names) < 2:
        raise UserError(f'the data have one domain, {domains.names[0]!r}; transfer needs a target and at least '
                        'one source')
    names = {'targets': config.targets or (), 'sources': config.sources or (),
             'transfer.costs': config.transfer.costs}
    for where, wanted in names.items():
        for name in wanted:
            if name not in domains.names:
                raise UserError(f'config.{where}: there is no domain {name!r}; the data have '
                                f'{", ".join(domains.names)}')
    numbers = lambda names: tuple(domains.names.index(name) for name in names or domains.names)
    targets, sources = numbers(config.targets), numbers(config.sources)
    for target in targets:
        if not set(sources) - {target}:
            raise UserError(f'config.sources: the target {domains.names[target]!r} has no source but itself; '
                            'name another')
    check_classes(domains, targets)
    return targets, sources


def check_classes(domains, targets):
    """Raises UserError where a target has no example of a class: there would be none to train on, or to score."""
    classes = domains.classes or ()
    lacks = [[classes[number] for number in np.flatnonzero(np.bincount(domain.labels, minlength=len(classes)) == 0)]
             if classes else [] for domain in domains.domains]
    wrong = [target for target in targets if lacks[target]]
    if wrong:
        whole = [name for name, lacking in zip(domains.names, lacks, strict=True) if not lacking]
        names = ', '.join(map(repr, lacks[wrong[0]][:3])) + (' and more' if len(lacks[wrong[0]]) > 3 else '')
        helps = f'name in config.targets those that have all ({", ".join(whole)}), or ' if whole else ''
        raise UserError(f'target {domains.names[wrong[0]]!r} has no example of the class {names}; a target needs some of every class, '
                        f"a source does not: {helps}set config.data.classes = 'intersection'")
