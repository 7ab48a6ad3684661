"""Published files of Wan's autoencoders: which version and sizes they hold, and their tensors as our tree."""
import functools
import json
import operator
import pathlib
import re
from collections.abc import Mapping

import numpy as np
from jax import numpy as jnp

from tqd_jax.latents.wan_vae.config import PUBLISHED, VaeConfig
from tqd_jax.latents.wan_vae.names import Layout, from_published, places, to_published
from tqd_jax.latents.wan_vae.params import PARTS
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

CONSTANTS = ('latents_mean', 'latents_std')  # keys of a config.json
PREFIXES = ('vae.', 'first_stage_model.')
# the resampler that ends a stage of the encoder: stage, or number among all layers, and number within the stage
_SAMPLERS = {
    (False, False): r'encoder\.downsamples\.(\d+)\.resample\.1\.weight',
    (False, True): r'encoder\.downsamples\.(\d+)\.downsamples\.(\d+)\.resample\.1\.weight',
    (True, False): r'encoder\.down_blocks\.(\d+)\.resample\.1\.weight',
    (True, True): r'encoder\.down_blocks\.(\d+)\.downsampler\.resample\.1\.weight'}


def config_from(tensors: Mapping, constants: Mapping | None = None) -> VaeConfig:
    """The config of a file's tensors, by names and shapes.

    constants: {'latents_mean': ..., 'latents_std': ...} of a config.json, or None for those of the published autoencoder with as
    many channels. Raises UserError where the tensors are no Wan autoencoder, or the constants are absent.
    """
    tensors, layout, stages = _recognised(tensors)
    shape = lambda *path: _kernel_shape(tensors, layout.name(path))
    width = lambda part, stage: shape(part, 'stages', str(stage), 'blocks', '0', 'conv1', 'kernel')[0]
    base, (wide, z_dim) = shape('encoder', 'conv_in', 'kernel')[0], shape('decoder', 'conv_in', 'kernel')[:2]
    multipliers = tuple(width('encoder', stage) // base for stage in range(stages))
    if not min(multipliers):
        raise UserError(f"the VAE's encoder narrows from {base} channels, and Wan's does not; get the file again")
    time = lambda stage: layout.name(('encoder', 'stages', str(stage), 'down', 'time', 'kernel')) in tensors
    mean, std = _constants(z_dim, constants)
    return VaeConfig(
        base_dim=base, decoder_base_dim=wide // multipliers[-1], multipliers=multipliers, res_blocks=layout.res_blocks,
        temporal=tuple(time(stage) for stage in range(stages - 1)), z_dim=z_dim,
        patch=int((shape('encoder', 'conv_in', 'kernel')[1] / 3) ** 0.5), residual=layout.residual, mean=mean, std=std)


def params_from(tensors: Mapping, config: VaeConfig, *, parts=PARTS, dtype='float32') -> dict:
    """{'encoder': ..., 'decoder': ...} of NumPy arrays in dtype, or one of the parts, from tensors by either layout's names.

    Raises UserError that names what is missing, left over, or of another shape than the config's.
    """
    check_whole(tensors, config)
    tensors, layout, _ = _recognised(tensors)
    tree = {}
    for name, place in places(config, diffusers=layout.diffusers, parts=parts).items():
        node = tree
        for key in place.path[:-1]:
            node = node.setdefault(key, {})
        node[place.path[-1]] = _leaf(name, from_published(np.asarray(tensors[name]), len(place.shape)), dtype)
    return tree


def published_arrays(params: Mapping, config: VaeConfig, *, diffusers: bool) -> dict[str, np.ndarray]:
    """The inverse of params_from for whole trees: arrays by a file's names."""
    leaf = lambda path: np.asarray(functools.reduce(operator.getitem, path, params))
    found = places(config, diffusers=diffusers)
    return {name: np.ascontiguousarray(to_published(leaf(place.path), place.published)) for name, place in found.items()}


def constants_beside(path) -> dict | None:
    """latents_mean and latents_std of the config.json in the folder of a file, or in a folder; None where there are none."""
    path = pathlib.Path(path)
    file = (path if path.is_dir() else path.parent) / 'config.json'
    try:
        values = json.loads(file.read_text()) if file.is_file() else {}
    except ValueError as error:
        raise UserError(f'{file} is no JSON ({error}); get the file again') from error
    return {key: values[key] for key in CONSTANTS} if set(CONSTANTS) <= values.keys() else None


def _recognised(tensors):
    """(tensors without a prefix, Layout, number of stages)."""
    names = [name for name in tensors if re.search(r'(^|\.)decoder\.(middle|mid_block)\.', name)]
    prefix = next((prefix for prefix in PREFIXES if names and names[0].startswith(prefix)), '')
    diffusers = any('decoder.mid_block.' in name for name in names)
    tensors = {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
    for residual in (True, False):
        found = [re.fullmatch(_SAMPLERS[diffusers, residual], name) for name in tensors]
        numbers = sorted(tuple(map(int, match.groups())) for match in found if match)
        if numbers:
            return tensors, Layout(diffusers, residual, _res_blocks(tensors, numbers, diffusers, residual)), len(numbers) + 1
    some = ', '.join(sorted(tensors)[:3]) or 'nothing'
    raise UserError(f"no Wan VAE: the file has {some}, and no resampler of Wan's encoder; "
                    'name a file such as Wan2.1_VAE.pth, or the folder vae/ of diffusers')


def _res_blocks(tensors, numbers, diffusers, residual):
    if diffusers and residual:
        return len({name for name in tensors if re.fullmatch(r'encoder\.down_blocks\.0\.resnets\.\d+\.norm1\.gamma', name)})
    return numbers[0][-1]


def _kernel_shape(tensors, name):
    if name not in tensors or len(tensors[name].shape) != 5:
        raise UserError(f'the VAE has no tensor {name} of five axes; get the file again')
    return tuple(tensors[name].shape)


def _constants(z_dim, constants):
    if constants is None and z_dim in PUBLISHED:
        return PUBLISHED[z_dim]
    if constants is None:
        raise UserError(f'the VAE has {z_dim} channels, for which no latents_mean and latents_std are published; '
                        'put a config.json that has both beside the file')
    mean, std = (tuple(map(float, constants[key])) for key in CONSTANTS)
    if {len(mean), len(std)} != {z_dim}:
        raise UserError(f'config.json has {len(mean)} latents_mean and {len(std)} latents_std, the VAE {z_dim} channels; '
                        'take the config.json of this VAE')
    return mean, std


def check_whole(tensors: Mapping, config: VaeConfig) -> None:
    """Raises UserError as params_from does, by names and shapes alone: nothing is read."""
    vae = f'the VAE {tensors.path}' if getattr(tensors, 'path', None) else 'the VAE'
    tensors, layout, _ = _recognised(tensors)
    wanted = places(config, diffusers=layout.diffusers)
    missing, extra = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    for what, names in (('lacks', missing), ('has, beyond what a Wan VAE of these sizes takes,', extra)):
        if names:
            raise UserError(f'{vae} {what} {counted(len(names), "tensor")}, such as {", ".join(sorted(names)[:3])}; get the file again')
    for name, place in wanted.items():
        if tuple(tensors[name].shape) != place.published:
            raise UserError(f'{vae}: {name} has shape {list(tensors[name].shape)}, its other tensors want {list(place.published)}; '
                            'get the file again')


def _leaf(name, array, dtype):
    leaf = array.astype(jnp.dtype(dtype))
    if not np.isfinite(leaf.astype(np.float32)).all():
        raise UserError(f"the VAE's {name} holds NaN or infinity; get the file again")
    return np.ascontiguousarray(leaf)
