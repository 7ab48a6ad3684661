"""A run before its first step: clips, model, mesh and laws put together."""
import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable

import jax
import numpy as np

from tqd_jax.config import LEARNED
from tqd_jax.data.library import Library
from tqd_jax.data.loader import Loader
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path, precondition
from tqd_jax.foundations.pixels import pixels
from tqd_jax.foundations.protocol import Foundation
from tqd_jax.foundations.wan import published
from tqd_jax.models.partition import check_selects, partition, selects
from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.frozen import stored
from tqd_jax.models.wan.spread.rules import PARAMETERS
from tqd_jax.timesteps.learned import LearnedLaw
from tqd_jax.training.law_file import law_of, read_law
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.state import init_state
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import check_batch, make_mesh, row_parts, shard_tree
from transfer_jax.runtime.paths import AnyPath, path_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a run is made of, none of it changing: data, model, mesh, and the shapes of its state.

    workdir: where the clips' scores, frames and caches lie. folder: where checkpoints, metrics and samples go: the same, but for the second
    run of a comparison. label: of its progress. foundation: the model's sizes and what was there before. loader: of training batches.
    training, validation: rows of the library. is_trained: of a parameter's path, whether training changes it. abstract_state,
    abstract_frozen: the TrainState and the tree {'model', 'codec', 'text'} of frozen parameters as jax.ShapeDtypeStruct with shardings.
    """
    config: object
    workdir: AnyPath
    folder: AnyPath
    mesh: jax.sharding.Mesh
    foundation: Foundation
    library: Library
    loader: Loader
    training: np.ndarray
    validation: np.ndarray
    objective: Objective
    optimizer: object
    schedule: object
    is_trained: Callable
    abstract_state: object
    abstract_frozen: object
    label: str = 'train'

    @property
    def model(self):
        """The WanConfig."""
        return self.foundation.model

    @property
    def frames_loader(self):
        """The Loader of the same clips as frames, wherever the loader's batches hold latents."""
        return self.foundation.frames_loader(self.library, self.workdir)

    @property
    def validates_on_training_clips(self):
        """Whether the library is too small to hold any clips out."""
        return bool(np.isin(self.validation, self.training).all())

    @functools.cached_property
    def fingerprint(self):
        """Hash of what the batches depend on beside the config: the clips' contents and scores, a learned law, and what encoded them."""
        library = self.library
        text = library.captions.data if self.foundation.latents else library.tokens  # a cache numbers captions as it has them
        further = library.further_captions.data if self.foundation.latents else library.further_tokens
        parts = [library.ids, library.mq, library.vq, library.bucket, library.source, text]
        if len(library.further_captions):
            parts += [library.further, further]
        if isinstance(library.law, LearnedLaw):  # its file is no part of the config
            parts += [library.group, np.array(library.law.weight.shape), library.law.weight]
        parts.append(np.frombuffer(self.foundation.inputs(self.workdir).encode(), np.uint8))
        return hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def check_start(config, workdir, *, fresh):
    """The Foundation of a config. fresh: nothing was trained in the folder yet.

    Raises UserError for what only the machine and the files can tell, before any clip is scored: devices, batch, law, weights.
    """
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.context)
    check_batch(config.train.batch, mesh)
    check_accumulation(config.train.batch, config.train.accumulate, row_parts(mesh))
    if fresh and config.law.kind == LEARNED:
        read_law(config.law.file)
    foundation = foundation_of(config, mesh)
    check_trained(config, foundation.model)
    check_context(config.data.buckets, foundation)
    foundation.check(workdir, fresh=fresh)
    return foundation


def foundation_of(config, mesh):
    """What the run stands on: published weights where config.wan.path names them, else pixels."""
    return (pixels if config.wan.path is None else published)(config, mesh)


def check_trained(config, model):
    """Raises UserError where config.train.trained selects no parameter."""
    try:
        check_selects(wan.abstract_params(model), config.train.trained)
    except ValueError as error:
        raise UserError(f'config.train.trained: {error}') from None


def check_context(buckets, foundation):
    """Raises UserError where the mesh's context does not divide the heads of the foundation's model, or the tokens of one of the buckets
    (width, height, frames)."""
    model = foundation.model
    context = model.mesh.shape['context']
    for width, height, frames in buckets:
        tokens = math.prod(model.grid(*foundation.codec.latent_shape(frames, height, width)[:3]))
        if tokens % context or model.heads % context:
            fit = ', '.join(str(n) for n in range(1, model.heads + 1) if tokens % n == 0 and model.heads % n == 0)
            raise UserError(f'config.mesh.context = {context} does not divide the {counted(tokens, "token")} of {width}x{height}x{frames} '
                            f'and the model\'s {counted(model.heads, "head")}: take one of {fit}')


def check_accumulation(batch, accumulate, devices):
    """Raises UserError where the slices of a batch do not divide over the devices: each would do, and hold, more than its part."""
    whole = devices * accumulate
    if batch % whole:
        below = batch - batch % whole
        near = f'{below} or {below + whole}' if below else f'{whole}'
        fit = ', '.join(str(n) for n in range(1, batch // devices + 1) if batch // devices % n == 0)
        raise UserError(f'config.train.batch = {batch} does not divide into train.accumulate = {counted(accumulate, "slice")} over '
                        f'{counted(devices, "device")}: take a batch of {near}, or train.accumulate of {fit}')


def build(config, workdir, foundation=None):
    """The Run of a prepared work directory. Raises UserError where the mesh does not fit the devices, or the clips the config.

    foundation: of check_start, where it was called before.
    """
    mesh, workdir = make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.context), path_of(workdir)
    foundation = foundation or foundation_of(config, mesh)
    objective, (optimizer, schedule) = make_objective(config, foundation), make_optimizer(config.train)
    library = foundation.library(workdir, law_of(config, workdir))
    training, held = library.held_out(config.data.held_out_fraction, config.data.held_out_clips, config.seed)
    validation = library.validation(held, config.eval.clips_per_quadrant, config.seed)
    is_trained = selects(config.train.trained)
    return Run(config=config, workdir=workdir, folder=workdir, mesh=mesh, foundation=foundation, library=library,
               loader=foundation.loader(library, workdir), training=training, validation=validation, objective=objective,
               optimizer=optimizer, schedule=schedule, is_trained=is_trained,
               abstract_state=abstract_state(foundation.model, optimizer, mesh, is_trained),
               abstract_frozen=abstract_frozen(foundation, workdir, mesh, is_trained))


def abstract_state(model, optimizer, mesh, is_trained):
    """The TrainState of a WanConfig as shapes with shardings, nothing allocated."""
    trained, _ = partition(wan.abstract_params(model), is_trained)
    return placed(jax.eval_shape(functools.partial(init_state, optimizer=optimizer), trained), mesh)


def abstract_frozen(foundation, workdir, mesh, is_trained):
    """{'model', 'codec', 'text'} of what no step changes, as shapes with shardings, nothing allocated."""
    _, frozen = partition(wan.abstract_params(foundation.model), is_trained)
    conditions = jax.eval_shape(lambda: foundation.conditions(workdir))
    return placed({'model': stored(frozen, foundation.storage), **conditions}, mesh)


def placed(abstract, mesh):
    """The tree of shapes with the shardings of Wan's rules."""
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    return jax.tree.map(place, abstract, shard_tree(abstract, mesh, rules=PARAMETERS))


def make_objective(config, foundation):
    """The Objective of config.train on a Foundation."""
    train, model = config.train, foundation.model
    path = Path(kind=train.path, prediction=train.prediction)
    apply = wan.apply(model)
    if train.precondition is not None:
        apply = precondition(apply, path, *train.precondition)
    dropout = 0.0 if model.lora is None else model.lora.dropout
    return Objective(model=apply, codec=foundation.codec, text=foundation.text, path=path, seed=config.seed,
                     caption_dropout=train.caption_dropout, stratified=train.stratified, t_range=foundation.t_range, lora_dropout=dropout)
