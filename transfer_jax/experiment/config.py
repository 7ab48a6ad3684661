"""What the transfer job's config may hold: one rule a key. The configs in configs/ say what each key is for."""
from transfer_jax.experiment.data.load import DATA_RULES
from transfer_jax.experiment.methods.registry import METHODS, NEED_CLASSES, NEED_VALIDATION
from transfer_jax.experiment.models.build import CHOICES, ModelConfig
from transfer_jax.experiment.multitask.config import MULTITASK_RULES
from transfer_jax.experiment.training.policy import SAMPLING
from transfer_jax.experiment.training.prepare import AUGMENT, COLUMNS, ROWS
from transfer_jax.runtime.config import Rule, choice, integer, number, optional, sequence, text
from transfer_jax.runtime.errors import UserError

WIDTHS = Rule(allowed='a tuple of integers of at least 1, or ()', accepts=lambda value: isinstance(value, tuple | list)
              and all(map(integer(at_least=1).accepts, value)))
COSTS = Rule(allowed='{source: cost above 0}', accepts=lambda value: isinstance(value, dict)
             and all(map(number(above=0).accepts, value.values())))

RULES = {
    'mode': choice('transfer', 'multitask'),
    'seed': integer(at_least=0, at_most=2**30),
    'seeds': integer(at_least=1),
    'targets': optional(sequence(text())),
    'sources': optional(sequence(text())),
    **{f'data.{key}': rule for key, rule in DATA_RULES.items()},
    'data.shots': integer(at_least=1),
    'data.validation': integer(at_least=0),
    'data.test': optional(integer(at_least=1)),
    'data.rows': choice(*ROWS),
    'data.columns': choice(*COLUMNS),
    'data.mean': sequence(number()),
    'data.std': sequence(number(above=0)),
    'data.augment': choice(*AUGMENT),
    'data.resident_gb': number(at_least=0),
    **{f'model.{key}': choice(*allowed) for key, allowed in CHOICES.items()},
    'model.hidden': WIDTHS,
    'model.lora_rank': integer(at_least=1),
    'model.lora_alpha': number(above=0),
    'model.weights': optional(text()),
    'train.batch': integer(at_least=1),
    'train.learning_rate': number(above=0),
    'train.prior': number(at_least=0),
    'train.epochs': number(above=0),
    'train.min_steps': integer(at_least=1),
    'train.segment': integer(at_least=1),
    'train.sampling': choice(*SAMPLING),
    'train.replicas': integer(at_least=1),
    'transfer.methods': sequence(choice(*METHODS)),
    'transfer.decisions': integer(at_least=1),
    'transfer.damping': number(above=0, at_most=1),
    'transfer.folds': integer(at_least=0),
    'transfer.budget': number(above=0, at_most=1),
    'transfer.costs': COSTS,
    'mesh.data': integer(at_least=-1),
    'checkpoint.seconds': number(at_least=0),
}

MULTITASK = {'mode': RULES['mode'], **{f'data.{key}': rule for key, rule in DATA_RULES.items()}, **MULTITASK_RULES}

# keys of earlier versions, and the names that they have now
RENAMED = {'train.rate': 'train.learning_rate', 'train.lanes': 'train.replicas', 'train.least_steps': 'train.min_steps'}

# keys that a resumed run may change: those of the machine, of saving, and the lists of methods and targets; no fit depends on them
FREE = ('targets', 'transfer.methods', 'multitask.methods', 'mesh', 'checkpoint', 'data.workers', 'data.cache', 'data.resident_gb')


def of_mode(config):
    """The rules of the config's mode."""
    return MULTITASK if config.get('mode') == 'multitask' else RULES


def check_whole(config):
    """Checks that involve several keys, before any data is read; raises UserError."""
    ModelConfig(**{key: config.model[key] for key in config.model})
    for key in ('targets', 'sources'):
        if len(set(config[key] or ())) < len(config[key] or ()):
            raise UserError(f'config.{key} names a domain twice: {", ".join(config[key])}')
    methods = config.transfer.methods
    if len(set(methods)) < len(methods):
        raise UserError(f'config.transfer.methods names a method twice: {", ".join(methods)}')
    for name in methods:
        if name in NEED_VALIDATION and config.data.validation == 0:
            raise UserError(f'the method {name!r} chooses by validation examples, and config.data.validation = 0; '
                            'ask for some, or leave it out')
        if name in NEED_CLASSES and config.data.task == 'regression':
            raise UserError(f'the method {name!r} needs classes, and config.data.task = "regression"; leave it out')


def check_inputs(config, shape):
    """Checks that the config has no setting that inputs of this shape, (F,) or (H, W, C), would ignore; raises UserError."""
    data, images = config.data, len(shape) == 3
    features = not images or (config.model.trainable == 'head' and config.model.kind != 'linear')  # of the data, or of a trunk
    for key, fits, what in (('augment', images, 'images'), ('mean', images, 'images'), ('std', images, 'images'),
                            ('rows', features, 'features'), ('columns', features, 'features')):
        value = data[key] if isinstance(data[key], str) else tuple(data[key])
        if not fits and value not in ('none', (0.0,), (1.0,)):
            raise UserError(f'config.data.{key} = {value!r} is for {what}, and the inputs have shape {shape}; leave it at its default')
        if images and key in ('mean', 'std') and len(value) not in (1, shape[-1]):
            raise UserError(f'config.data.{key} = {value!r}, and the images have {shape[-1]} channels; give one number, or one a channel')


def check_domains(config, domains):
    """(targets, sources) as numbers of domains; raises UserError for names that are not there, or fewer than two domains."""
    if len(domains.names) < 2:
        raise UserError(f'the data have one domain, {domains.names[0]!r}; transfer needs a target and at least one source')
    for key in ('targets', 'sources'):
        for name in config[key] or ():
            if name not in domains.names:
                raise UserError(f'config.{key}: there is no domain {name!r}; the data have {", ".join(domains.names)}')
    for name in config.transfer.costs:
        if name not in domains.names:
            raise UserError(f'config.transfer.costs: there is no domain {name!r}; the data have {", ".join(domains.names)}')
    numbers = lambda names: tuple(domains.names.index(name) for name in names or domains.names)
    targets, sources = numbers(config.targets), numbers(config.sources)
    for target in targets:
        if not set(sources) - {target}:
            raise UserError(f'config.sources: the target {domains.names[target]!r} has no source but itself; name another')
    return targets, sources
