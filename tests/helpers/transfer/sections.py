"""config.data as the tests shrink it."""
from transfer_jax.experiment.config import MultitaskConfig
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.runtime.config import override


def load(path, workdir='unused', **keys):
    """The Domains at a path; nothing is written but decoded images."""
    changes = {'path': None if path is None else str(path)} | keys
    return load_domains(override(MultitaskConfig(), {f'data.{key}': value for key, value in changes.items()}).data, workdir)
