"""The adapters (LoRA) of a config: their sizes, and those of a file to go on from."""
import json
import pathlib

import jax
import numpy as np

from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.lora import is_effective, read_lora, summary
from tqd_jax.models.wan.lora import LoraConfig
from transfer_jax.runtime.errors import UserError


def lora_of(config) -> LoraConfig | None:
    """The LoraConfig of config.lora, or None where config.train.trained is something else. Raises UserError."""
    if config.train.trained != 'lora':
        return None
    lora = config.lora
    targets = lora.targets if isinstance(lora.targets, str) else tuple(lora.targets)
    try:
        return LoraConfig(rank=lora.rank, alpha=lora.alpha, targets=targets, dropout=lora.dropout)
    except ValueError as error:
        raise UserError(f'config.lora: {error}') from None


def adapters_of(path, model, abstract):
    """The adapters of a LoRA file for a WanConfig, in the shapes and shardings of `abstract`; None where path is None.

    Raises UserError where the file is of another model, or has another rank, alpha or other targets than config.lora.
    """
    if path is None:
        return None
    file = checked_file(path, model)
    print(f'{path}: {summary(file)}', flush=True)
    return jax.tree.map(lambda leaf, array: jax.device_put(np.asarray(array, leaf.dtype), leaf.sharding), abstract, file.tree)


def checked_file(path, model):
    """The LoraFile of config.lora.init_from, with the adapter_config.json that may lie beside it. Raises UserError as adapters_of does."""
    file = read_lora(open_tensors(path), model, adapter_config=settings_beside(path))
    check_file(path, file, model.lora)
    return file


def settings_beside(path):
    """The adapter_config.json in the folder of a LoRA file, None where there is none. Raises UserError where it is no JSON."""
    beside = pathlib.Path(path).parent / 'adapter_config.json'
    try:
        return json.loads(beside.read_text()) if beside.is_file() else None
    except (OSError, ValueError) as error:
        raise UserError(f'{beside} cannot be read ({error}): get the file again, or remove it') from error


def check_file(path, file, lora):
    """Raises UserError where a LoraFile is not of the LoraConfig, or changes nothing."""
    keys = {'rank': (file.rank, lora.rank), 'alpha': (file.alpha, lora.alpha)}
    wrong = [f'--config.lora.{key}={there}' for key, (there, here) in keys.items() if there != here]
    if set(file.targets) != set(lora.modules):
        names = '|'.join(file.targets)
        wrong.append(f'"--config.lora.targets={names}"')
    if wrong:
        raise UserError(f'config.lora.init_from = {str(path)!r} goes with {" ".join(wrong)}')
    if not is_effective(file.tree):
        raise UserError(f'config.lora.init_from = {str(path)!r} changes nothing: every A B in it is zero')
