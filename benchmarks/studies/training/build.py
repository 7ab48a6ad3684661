"""A study before its first step: the world's clips, the model and the compiled trainer, from one size of a config."""
import dataclasses
import functools
import math
import pathlib
import zlib

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.studies.config import Size
from benchmarks.studies.training.arms import cumulative_shares, stack
from benchmarks.studies.training.precondition import patch_statistics, precondition_patches
from benchmarks.studies.training.runs import Material, Runs, Sampling, Trainer, trainer
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.library import library
from benchmarks.studies.world.world import HELD_OUT, TEXT_LEN, VOCAB, Clips, World
from tqd_jax.config import Train
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.wan import model as wan
from tqd_jax.text.words import HashedWords
from tqd_jax.training.optimizer import make_optimizer
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.store import Store

MULTIPLES = {'size': 16, 'frames': 8}
MAX_CLIPS, MAX_PIXELS = 512, 2**23  # for the statistics of patches: float64 copies of more fill a machine's memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What all jobs of a study share.

    size: the Size of the study's config. world, clips: the library. held_out: golden Clips of another seed, for validation and
    captions. objective, config: the model as the step takes it, and its WanConfig. trainer: compiled. devices: [D]. store: of finished
    jobs.
    """
    size: Size
    world: World
    clips: Clips
    held_out: Clips
    objective: Objective
    config: wan.WanConfig
    trainer: Trainer
    devices: np.ndarray
    store: Store

    def shard(self, tree, shared=False):
        """The tree on the devices: a copy on each, or its leading axis of runs spread over them."""
        spec = PartitionSpec() if shared else PartitionSpec('runs')
        return jax.device_put(tree, NamedSharding(Mesh(self.devices, ('runs',)), spec))

    @functools.cached_property
    def frames(self):
        """The library's frames and tokens, on the devices once."""
        return self.shard((self.clips.frames, self.clips.tokens), shared=True)

    def material(self, plans):
        """The Material of a list of Plans."""
        stacked, (frames, tokens) = stack(plans), self.frames
        law, cumulative = self.shard((stacked.law, cumulative_shares(stacked.acceptance)), shared=True)
        return Material(frames=frames, tokens=tokens, law=law, cumulative=cumulative)

    def runs(self, plan, seed):
        """The Runs of plans' numbers [R] and seeds [R] of any names, e.g. 'scratch 3': R a multiple of the devices."""
        numbers = np.array([zlib.crc32(str(name).encode()) for name in seed], np.uint32)
        return self.shard(Runs(plan=np.array(plan, np.int32), seed=numbers))

    def groups(self, rows):
        """The rows, cut into groups that are trained at once: as many as all devices hold replicas, one on a CPU's."""
        replicas = 1 if jax.default_backend() == 'cpu' else self.size.replicas or max(1, math.ceil(len(rows) / len(self.devices)))
        step = replicas * len(self.devices)
        return [rows[start:start + step] for start in range(0, len(rows), step)]

    @property
    def abstract_params(self):
        """Shapes of one run's weights."""
        return wan.abstract_params(self.config)


def check_size(name, size):
    """Raises UserError where the numbers of a size do not fit each other."""
    values = to_json(size)
    for key in ('pretrain', 'finetune', 'scratch'):
        if values[key] % size.every:
            raise UserError(f'config.sizes.{name}.{key} = {values[key]} is not a multiple of every = {size.every}')
    if size.samples % size.sample_batch:
        raise UserError(f'config.sizes.{name}.samples = {size.samples} is not a multiple of sample_batch = {size.sample_batch}')
    for key, factor in MULTIPLES.items():
        if values[key] % factor:
            raise UserError(f'config.sizes.{name}.{key} = {values[key]} is not a multiple of {factor}, as the measures of samples need')
    try:
        world_of(size)
        model_of(size).grid(size.frames, size.size, size.size)
    except ValueError as error:
        raise UserError(f'config.sizes.{name}: {error}') from None


def world_of(size):
    """The World of a size."""
    return World(size=size.size, frames=size.frames, fps=size.fps, clips=size.clips)


def model_of(size):
    """The WanConfig of a size; attention is XLA's on accelerators, as cuDNN's has no rule for runs side by side everywhere."""
    return wan.WanConfig(layers=size.layers, heads=size.heads, head_dim=size.head_dim, ffn_dim=size.ffn_dim, patch=tuple(size.patch),
                         dtype=size.dtype, text_dim=64, text_len=TEXT_LEN, vocab=VOCAB, in_channels=3, out_channels=3, freq_dim=64,
                         attention='auto' if jax.default_backend() == 'cpu' else 'xla', unroll=size.layers)


def build(size, workdir, devices=None):
    """The Study of a checked size (check_size), its clips cached in workdir; devices: all by default."""
    workdir, world = pathlib.Path(workdir), world_of(size)
    clips = library(world, workdir / 'clips')
    held_out = golden_clips(dataclasses.replace(world, seed=HELD_OUT), max(size.held_out, size.samples))
    config, path = model_of(size), Path()
    count = max(1, min(MAX_CLIPS, MAX_PIXELS // math.prod(clips.frames.shape[1:4])))
    pixels = clips.frames[::max(1, len(clips) // count)] / np.float32(127.5) - 1  # as PixelCodec encodes them
    model = precondition_patches(wan.apply(config), path, config.patch, *patch_statistics(pixels, config.patch))
    objective = Objective(model=model, codec=PixelCodec(), text=HashedWords(length=TEXT_LEN, vocab=VOCAB), path=path, seed=0)
    devices = np.array(jax.devices()) if devices is None else np.array(devices)
    return Study(size=size, world=world, clips=clips, held_out=held_out, objective=objective, config=config, devices=devices,
                 trainer=trainer_of(size, config, objective, devices), store=Store(workdir / 'jobs'))


def trainer_of(size, config, objective, devices):
    """The Trainer of a size."""
    settings = Train(optimizer='adamw', learning_rate=size.learning_rate, schedule='constant', warmup=size.warmup, steps=1,
                     b1=0.9, b2=0.99, weight_decay=0.0, clip_norm=1.0)
    sampling = Sampling(batch=size.sample_batch, steps=size.sample_steps, solver=size.solver, guidance=size.guidance)
    return trainer(objective, functools.partial(wan.init_params, config), make_optimizer(settings)[0], sampling,
                   (size.frames, size.size, size.size, 3), batch=size.batch, every=size.every, ema=size.ema, devices=devices)
