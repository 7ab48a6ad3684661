"""A run before its first step: clips, model, mesh and laws put together."""
import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from tqd_jax.config import LEARNED
from tqd_jax.data.frames import FrameStore, cache_bytes
from tqd_jax.data.library import Library, load_library
from tqd_jax.data.loader import Loader
from tqd_jax.diffusion.objective import Objective, init_frozen
from tqd_jax.diffusion.path import Path, precondition
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.partition import everything, partition
from tqd_jax.models.wan import model as wan
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.learned import LearnedLaw
from tqd_jax.training.law_file import law_of, read_law
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.state import init_state
from tqd_jax.training.weights import check_weights
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import check_batch, make_mesh, shard_tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a run is made of, none of it changing: data, model, mesh, and the shapes of its state.

    training, validation: rows of the library. is_trained: of a parameter's path, whether training changes it. abstract_state,
    abstract_frozen: the TrainState and the tree of init_frozen as jax.ShapeDtypeStruct with shardings.
    """
    config: object
    workdir: pathlib.Path
    mesh: jax.sharding.Mesh
    library: Library
    loader: Loader
    training: np.ndarray
    validation: np.ndarray
    model: wan.WanConfig
    objective: Objective
    optimizer: object
    schedule: object
    is_trained: Callable
    abstract_state: object
    abstract_frozen: object

    @property
    def validates_on_training_clips(self):
        """Whether the library is too small to hold any clips out."""
        return bool(np.isin(self.validation, self.training).all())

    @property
    def fingerprint(self):
        """Hash of what the batches depend on beside the config: the clips' contents and scores, and a learned law."""
        library = self.library
        parts = [library.ids, library.mq, library.vq, library.bucket, library.source, library.tokens]
        if isinstance(library.law, LearnedLaw):  # its file is no part of the config
            parts += [library.group, np.array(library.law.weight.shape), library.law.weight]
        return hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def check_start(config, *, fresh):
    """Raises UserError for what only the machine and the files can tell, before any clip is scored: devices, batch, law, weights."""
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    check_batch(config.train.batch, mesh)
    check_accumulation(config.train.batch, config.train.accumulate, mesh.size)
    if fresh and config.law.kind == LEARNED:
        read_law(config.law.file)
    if fresh and config.init_from is not None:
        check_weights(config.init_from, model_config(config.model), config.train)


def check_accumulation(batch, accumulate, devices):
    """Raises UserError where the slices of a batch do not divide over the devices: each would do, and hold, more than its part."""
    whole = devices * accumulate
    if batch % whole:
        below = batch - batch % whole
        near = f'{below} or {below + whole}' if below else f'{whole}'
        fit = ', '.join(str(n) for n in range(1, batch // devices + 1) if batch // devices % n == 0)
        raise UserError(f'config.train.batch = {batch} does not divide into train.accumulate = {accumulate} slices over {devices} devices: '
                        f'take a batch of {near}, or train.accumulate of {fit}')


def build(config, workdir, is_trained=everything):
    """The Run of a prepared work directory. Raises UserError where the mesh does not fit the devices, or the clips the config."""
    model, mesh = model_config(config.model), make_mesh(config.mesh.data, config.mesh.fsdp)
    objective, (optimizer, schedule) = make_objective(config.train, model, config.seed), make_optimizer(config.train)
    library = load_library(config.data, workdir, objective.text, law_of(config, workdir))
    training, held = library.held_out(config.data.held_out_fraction, config.data.held_out_clips, config.seed)
    validation = library.validation(held, config.eval.clips_per_quadrant, config.seed)
    store = frame_store(config.data, library, workdir)
    loader = Loader(library=library, store=store, seed=config.seed, batch=config.train.batch, crop=config.data.crop,
                    process=jax.process_index(), processes=jax.process_count())
    state, frozen = abstract_parameters(model, objective, optimizer, mesh, is_trained)
    return Run(config=config, workdir=pathlib.Path(workdir), mesh=mesh, library=library, loader=loader, training=training,
               validation=validation, model=model, objective=objective, optimizer=optimizer, schedule=schedule, is_trained=is_trained,
               abstract_state=state, abstract_frozen=frozen)


def abstract_parameters(model, objective, optimizer, mesh, is_trained):
    """(TrainState, tree of init_frozen) as shapes with shardings, nothing allocated."""
    trained, frozen = partition(wan.abstract_params(model), is_trained)
    state = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), trained)
    frozen = jax.eval_shape(functools.partial(init_frozen, objective), frozen)
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    return tuple(jax.tree.map(place, tree, shard_tree(tree, mesh)) for tree in (state, frozen))


def make_objective(train, model, seed):
    """The Objective of config.train and a WanConfig."""
    path = Path(kind=train.path, prediction=train.prediction)
    apply = wan.apply(model)
    if train.precondition is not None:
        apply = precondition(apply, path, *train.precondition)
    return Objective(model=apply, codec=PixelCodec(), text=HashedWords(length=model.text_len, vocab=model.vocab), path=path, seed=seed,
                     caption_dropout=train.caption_dropout, stratified=train.stratified)


def model_config(section):
    """The preset with the config's overrides; pixels in and out, captions as tokens."""
    return dataclasses.replace(wan.PRESETS[section.preset], vocab=section.vocab, text_len=section.text_len, dtype=section.dtype,
                               remat=section.remat, attention=section.attention, in_channels=3, out_channels=3)


def frame_store(data, library, workdir):
    """The cache of decoded clips where it fits into data.cache_gb, else straight decoding; prints which."""
    need = cache_bytes(library, library.buckets, data.fps) / 1e9
    cached = need <= data.cache_gb
    print(f'frames: {"cached in the workdir" if cached else "decoded from the files each time"}; a cache takes about {need:.2g} GB, '
          f'config.data.cache_gb = {data.cache_gb:g}', flush=True)
    return FrameStore(rows=library, fps=data.fps, folder=str(pathlib.Path(workdir, 'frames').resolve()) if cached else None)
