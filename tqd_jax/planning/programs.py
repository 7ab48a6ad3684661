"""The training step of a config as a run compiles it, for a mesh of any devices and without weights, clips or a cache."""
import dataclasses
import json

import jax

from tqd_jax.config import Config
from tqd_jax.data.buckets import Bucket
from tqd_jax.diffusion.objective import Objective
from tqd_jax.models.partition import selects
from tqd_jax.models.wan.config import WanConfig
from tqd_jax.planning.candidates import Candidate
from tqd_jax.planning.sizes import foundation_of
from tqd_jax.planning.topology import Topology
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.programs import lower_train
from tqd_jax.training.run import abstract_frozen, abstract_state, check_trained, make_objective
from transfer_jax.runtime.parallel.mesh import make_mesh

TRAIN = ('batch', 'accumulate', 'trained', 'optimizer', 'path', 'prediction', 'precondition', 'caption_dropout', 'stratified')
WAN = ('storage', 'text_dtype', 'vae_dtype', 'vae_chunk', 'vae_tile', 'expert')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """What lower_train takes of a Run."""
    config: Config
    mesh: jax.sharding.Mesh
    foundation: object
    objective: Objective
    optimizer: object
    abstract_state: object
    abstract_frozen: object


def planned(config: Config, mesh: jax.sharding.Mesh, platform: str | None = None) -> Planned:
    """The parts of a run of a checked config on a mesh, as shapes with shardings. Raises UserError as foundation_of does.

    platform: of WanConfig, where the mesh's devices stand for others.
    """
    foundation, is_trained = foundation_of(config, mesh), selects(config.train.trained)
    foundation = dataclasses.replace(foundation, model=dataclasses.replace(foundation.model, platform=platform))
    check_trained(config, foundation.model)
    optimizer, _ = make_optimizer(config.train)
    return Planned(config=config, mesh=mesh, foundation=foundation, objective=make_objective(config, foundation), optimizer=optimizer,
                   abstract_state=abstract_state(foundation.model, optimizer, mesh, is_trained),
                   abstract_frozen=abstract_frozen(foundation, None, mesh, is_trained))


def mesh_of(axes: dict, devices: list) -> jax.sharding.Mesh:
    """The mesh of the devices with these sizes of its axes."""
    return make_mesh(**axes, devices=devices)


def executed_as(config: Config, candidate: Candidate) -> Config:
    """The config with the candidate's mesh, recomputation, batch and slices."""
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, remat=candidate.remat),
        train=dataclasses.replace(config.train, batch=candidate.batch, accumulate=candidate.accumulate),
        mesh=dataclasses.replace(config.mesh, **candidate.axes))


def train_program(config: Config, mesh: jax.sharding.Mesh, bucket: tuple[int, int, int],
                  platform: str | None = None) -> jax.stages.Lowered:
    """The training step of a bucket (width, height, frames), traced for the mesh."""
    width, height, frames = bucket
    return lower_train(planned(config, mesh, platform), Bucket(width=width, height=height, frames=frames))


def describe(program: str, config: Config, model: WanConfig, topology: Topology, devices: list, bucket: tuple) -> dict:
    """What a program depends on beside the modules that it is made of, as JSON: by this Kept knows it.

    model: the WanConfig of the config, on any mesh. Values that do not change a program's memory, such as the learning rate, are left out.
    """
    train = {name: getattr(config.train, name) for name in TRAIN}
    sizes = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.name not in ('mesh', 'remat')}
    sizes |= {'lora': None if model.lora is None else dataclasses.asdict(model.lora)}
    parts = {'program': program, 'bucket': bucket, 'topology': topology.name, 'kind': devices[0].device_kind, 'model': sizes,
             'train': train, 'mesh': dataclasses.asdict(config.mesh), 'wan': {name: getattr(config.wan, name) for name in WAN},
             'remat': config.model.remat}
    return json.loads(json.dumps(parts))
