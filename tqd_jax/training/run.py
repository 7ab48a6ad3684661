"""A run before its first step: clips, model, mesh and laws put together."""
import dataclasses
import functools
import hashlib
import json
import pathlib

import jax
import numpy as np

from tqd_jax import config as rules
from tqd_jax.data.frames import FrameStore, cache_bytes
from tqd_jax.data.library import Library, load_library
from tqd_jax.data.loader import Loader
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path, precondition
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.wan import model as wan
from tqd_jax.timesteps.learned import LearnedLaw
from tqd_jax.training.state import init_state, make_optimizer
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.parallel.mesh import check_batch, make_mesh, shard_tree
from transfer_jax.runtime.tensors import load_weights

LAW = 'learned_law.json'  # a run's own copy of config.law.file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a run is made of, none of it changing: data, model, mesh, and the shapes of its state."""
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
    abstract_state: object

    @property
    def fingerprint(self):
        """Hash of what the batches depend on beside the config: the clips' contents and scores, and a learned law."""
        library = self.library
        parts = [library.ids, library.mq, library.vq, library.bucket, library.source, library.tokens]
        if isinstance(library.law, LearnedLaw):  # its file is no part of the config
            parts += [library.kind, np.array(library.law.weight.shape), library.law.weight]
        return hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def check_start(config, *, fresh):
    """Raises UserError for what only the machine and the files can tell, before any clip is scored: devices, batch, first weights."""
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    check_batch(config.train.batch, mesh)
    check_accumulation(config.train.batch, config.train.accumulate, mesh.size)
    if fresh and config.law.kind == rules.LEARNED:
        read_law(config.law.file)
    if fresh and config.init_from is not None:
        path = weights_path(config.init_from)
        load_weights(path, wan.abstract_params(model_config(config.model)))
        _check_meaning(config, path)


def check_accumulation(batch, accumulate, devices):
    """Raises UserError where the slices of a batch do not divide over the devices: each would do, and hold, more than its part."""
    whole = devices * accumulate
    if batch % whole:
        below = batch - batch % whole
        near = f'{below} or {below + whole}' if below else f'{whole}'
        fit = ', '.join(str(n) for n in range(1, batch // devices + 1) if batch // devices % n == 0)
        raise UserError(f'config.train.batch = {batch} does not divide into train.accumulate = {accumulate} slices over {devices} devices: '
                        f'take a batch of {near}, or train.accumulate of {fit}')


def build(config, workdir):
    """The Run of a prepared work directory. Raises UserError where model, mesh, batch and clips do not go together."""
    library = load_library(config.data, workdir, config.model.text_len, config.model.vocab, law_of(config, workdir))
    model = model_config(config.model)
    objective = make_objective(config, model)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    optimizer, schedule = make_optimizer(config.train)
    abstract = jax.eval_shape(lambda: init_state(wan.init_params(model, jax.random.key(0)), optimizer))
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    training, held = library.held_out(config.data.held_out_fraction, config.data.held_out_clips, config.seed)
    validation = library.validation(held, config.eval.clips_per_quadrant, config.seed)
    loader = Loader(library=library, store=frame_store(config, library, workdir), seed=config.seed, batch=config.train.batch,
                    crop=config.data.crop, process=jax.process_index(), processes=jax.process_count())
    return Run(config=config, workdir=pathlib.Path(workdir), mesh=mesh, library=library, loader=loader, training=training,
               validation=validation, model=model, objective=objective, optimizer=optimizer, schedule=schedule,
               abstract_state=jax.tree.map(place, abstract, shard_tree(abstract, mesh)))


def law_of(config, workdir):
    """The LawConfig of config.law, or the LearnedLaw that the work directory keeps a copy of."""
    return read_law(pathlib.Path(workdir, LAW)) if config.law.kind == rules.LEARNED else rules.law_config(config)


def read_law(path):
    """The LearnedLaw of a file. Raises UserError where it has none."""
    try:
        record = json.loads(pathlib.Path(path).expanduser().read_text(encoding='utf-8'))
        return LearnedLaw(groups=tuple(record['groups']), weight=np.array(record['weight'], np.float64), by=record['by'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f'it has no {error}' if isinstance(error, KeyError) else error
        raise UserError(f'config.law.file: {path} is no law that --mode=learn wrote: {reason}') from None


def make_objective(config, model):
    """The Objective of a checked config and its WanConfig."""
    train = config.train
    path = Path(kind=train.path, prediction=train.prediction)
    apply = wan.apply(model)
    if train.precondition is not None:
        apply = precondition(apply, path, *train.precondition)
    return Objective(model=apply, codec=PixelCodec(), path=path, seed=config.seed, caption_dropout=train.caption_dropout,
                   stratified=train.stratified)


def model_config(section):
    """The preset with the config's overrides; pixels in and out, captions as tokens."""
    return dataclasses.replace(wan.PRESETS[section.preset], vocab=section.vocab, text_len=section.text_len, dtype=section.dtype,
                               remat=section.remat, attention=section.attention, in_channels=3, out_channels=3)


def frame_store(config, library, workdir):
    """The cache of decoded clips where it fits into data.cache_gb, else straight decoding; says which."""
    need = cache_bytes(library, library.buckets, config.data.fps) / 1e9
    cached = need <= config.data.cache_gb
    print(f'frames: {"cached in the workdir" if cached else "decoded from the files each time"}; a cache takes about {need:.2g} GB, '
          f'config.data.cache_gb = {config.data.cache_gb:g}', flush=True)
    return FrameStore(paths=tuple(library.paths), ids=tuple(f'{i:016x}' for i in library.ids), durations=tuple(library.duration),
                      fps=config.data.fps, folder=str(pathlib.Path(workdir, 'frames').resolve()) if cached else None)


def fresh_state(run):
    """The state at step 0, sharded from birth: weights from config.init_from, or initialised from the seed."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, run.abstract_state)
    start = functools.partial(init_state, optimizer=run.optimizer)
    if run.config.init_from is None:
        return jax.jit(lambda: start(wan.init_params(run.model, stream_key(run.config.seed, 'init'))), out_shardings=shardings)()
    params = jax.device_put(load_weights(weights_path(run.config.init_from), run.abstract_state.params), shardings.params)
    return jax.jit(start, out_shardings=shardings)(params)


def weights_path(name):
    """The file that config.init_from names. Raises UserError where there is none."""
    path = rules.ASSETS / name.removeprefix('asset:') if name.startswith('asset:') else pathlib.Path(name).expanduser()
    if not path.is_file():
        raise UserError(f'config.init_from = {name!r}: there is no such file; None starts from scratch')
    return path


def _check_meaning(config, weights):
    """Raises UserError where the config beside the weights says that they predict something else."""
    beside = next((file for file in (weights.with_suffix('.json'), weights.with_name('config.json')) if file.exists()), None)
    theirs = json.loads(beside.read_text()).get('train', {}) if beside else {}
    ours = to_json(config)['train']
    for key in ('path', 'prediction', 'precondition'):
        if theirs.get(key, ours[key]) != ours[key]:
            raise UserError(f'config.train.{key} = {ours[key]!r}, but {weights} was trained with {theirs[key]!r} ({beside}): '
                            f'use that, other weights, or config.init_from=None')
