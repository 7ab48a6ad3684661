"""The parts of a transfer job from its config: domains, model, trainer, splits, and a Lab for each target."""
import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from transfer_jax.experiment import checks
from transfer_jax.experiment.config import MultitaskConfig, TransferConfig
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.data.splits import Split, k_shot, load_splits, same_splits, save_splits
from transfer_jax.experiment.lab.exact import ExactLab
from transfer_jax.experiment.lab.lab import Control, Lab
from transfer_jax.experiment.models.build import ModelConfig, build
from transfer_jax.experiment.models.model import Model
from transfer_jax.experiment.scales import resolve_columns, without_sparse
from transfer_jax.experiment.scores.metrics import resolve
from transfer_jax.experiment.training.evaluate import in_blocks
from transfer_jax.experiment.training.prepare import Scaling, fit_scaling, normalise
from transfer_jax.experiment.training.trainer import Settings, Trainer, make_pool
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.job import require_same_config
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.parallel.mesh import check_batch, make_mesh
from transfer_jax.runtime.paths import AnyPath
from transfer_jax.runtime.store import Store


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A run: its config and folder, its data, the splits {target's name: one a seed}, numbers of targets and sources, and the methods.

    metrics: the scores of the test rows, the main one first. notes: lines for the user.
    """
    config: TransferConfig
    workdir: AnyPath
    domains: Domains
    trainer: Trainer
    targets: tuple[int, ...]
    sources: tuple[int, ...]
    splits: dict
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    notes: tuple[str, ...]

    def store(self, target: int) -> Store:
        """What is kept of a target."""
        return Store(self.workdir / 'targets' / folder_of(self.domains.names[target]))

    def lab(self, target: int, stop: Any) -> Lab:
        """The Lab of a target."""
        config, name = self.config, self.domains.names[target]
        sources = tuple(source for source in self.sources if source != target)
        costs = tuple(float(config.transfer.costs.get(self.domains.names[source], 1.0)) for source in sources)
        exact = functools.partial(ExactLab, priors=tuple(sorted(config.train.priors, reverse=True)))
        make = exact if config.train.solver == 'exact' else Lab
        return make(trainer=self.trainer, store=self.store(target), stop=stop, target=target, sources=sources,
                    splits=tuple(self.splits[name]), first_seed=config.seed, scaling=source_scaling(config, self.domains, sources),
                    epochs=config.train.epochs, min_steps=config.train.min_steps, max_folds=config.transfer.folds, costs=costs,
                    control=Control(decisions=config.transfer.decisions, damping=config.transfer.damping), budget=config.transfer.budget,
                    trunk_trained=config.model.trainable != 'head' and config.model.kind != 'linear', patience=config.checkpoint.seconds)


def folder_of(name: str) -> str:
    """The name of a domain's folder: its own, but for / and %, and for names that no folder of its own can have ('', '.', '..')."""
    return name.replace('%', '%25').replace('/', '%2F') if name.strip('.') else '%' + name


def prepare(config: TransferConfig, workdir: AnyPath) -> Job:
    """The Job of a config in its folder. Raises UserError for a fault of the config, of the data, or of the files in the folder."""
    checks.check_whole(config)
    methods, left_out = checks.methods_of(config)
    metrics = resolve(config.transfer.metrics, config.data.task, 'transfer.metrics')
    mesh = make_mesh(config.mesh.data, 1, devices=jax.local_devices())
    check_batch(config.train.batch, mesh)
    first_host(record_config, config, workdir)
    exact = config.train.solver == 'exact'
    domains, made_dense = without_sparse(checks.keeps_sparse(config), load_domains(config.data, workdir, sparse=True))
    targets, sources = checks.check_domains(config, domains)
    checks.check_inputs(config.data, config.model, domains.domains[0].inputs.shape[1:])
    config, found = resolved(config, domains)
    splits = make_splits(config, domains, targets, workdir)
    lacking = checks.lacking(domains, splits, targets, metrics)
    model, domains, trunk = make_model(config, domains)
    settings = Settings(batch=config.train.batch, sampling=config.train.sampling, learning_rate=config.train.learning_rate,
                        prior=config.train.prior, segment=config.train.segment, augment=config.data.augment, replicas=config.train.replicas)
    resident = not exact and sum(domain.inputs.nbytes for domain in domains.domains) / 2**30 <= config.data.resident_gb
    frozen = model.init(stream_key(config.seed, 'init'))[1]  # not under jit, where weights of a file would become constants
    trainer = Trainer(model=model, frozen=frozen, pool=make_pool(domains, config.seed, resident=resident),
                      domains=domains, settings=settings, mesh=mesh)
    return Job(config=config, workdir=workdir, domains=domains, trainer=trainer, targets=targets, sources=sources, splits=splits,
               methods=methods, metrics=metrics, notes=(*left_out, *made_dense, *found, *lacking, *model.notes, *trunk))


def resolved(config: TransferConfig, domains: Domains) -> tuple[TransferConfig, tuple[str, ...]]:
    """(the config with what the data decide, lines about it): whether columns are standardised."""
    columns, scales = resolve_columns(config.data.columns, config.data.rows, domains)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, columns=columns)), scales


def record_config(config: TransferConfig | MultitaskConfig, workdir: AnyPath) -> None:
    """Writes config.json; raises UserError where the folder holds a run of another config, or of one with old names of keys."""
    path = workdir / 'config.json'
    if path.exists() and any((workdir / folder).exists() for folder in ('targets', 'multitask')):
        require_same_config(workdir, json.loads(path.read_text()), config)
    write_atomically(path, json.dumps(to_json(config), indent=1).encode())


def make_splits(config: TransferConfig, domains: Domains, targets: Sequence[int], workdir: AnyPath) -> dict[str, list[Split]]:
    """{name of a target: [Split of each seed]}, saved. Raises UserError where the folder's fits were made with others."""
    path = workdir / 'splits.json'
    splits = load_splits(path) if path.exists() and (workdir / 'targets').exists() else {}
    for target in targets:
        domain = domains.domains[target]
        new_splits = [split_target(domain.name, domain.labels, domains.classes, config, seed) for seed in range(config.seeds)]
        if not same_splits(splits.setdefault(domain.name, new_splits), new_splits):
            raise UserError(f'{path} has other splits of {domain.name!r} than these data give, so they have changed; restore them, or use '
                            'another --workdir')
    first_host(save_splits, path, splits)
    return splits


def split_target(name: str, labels: np.ndarray, classes: tuple[str, ...] | None, config: TransferConfig, seed: int) -> Split:
    """The Split (k_shot) of a target; a UserError names the target."""
    try:
        return k_shot(labels, shots=config.data.shots, validation=config.data.validation, test=config.data.test, seed=config.seed + seed,
                      classes=classes)
    except UserError as error:
        raise UserError(f'target {name!r}: {error} (config.data.shots, config.data.validation)') from None


def make_model(config: TransferConfig, domains: Domains) -> tuple[Model, Domains, tuple[str, ...]]:
    """(Model, Domains that it takes, notes). For a head on a frozen trunk the Domains hold the trunk's features, computed once."""
    outputs = len(domains.classes) if domains.classes is not None else 1
    model = build(config.model, domains.domains[0].inputs.shape[1:], outputs)
    if not checks.has_trunk_features(config.data, config.model):
        return model, domains, ()
    features = trunk_features(model, domains, source_scaling(config, domains, range(len(domains.names))), config.seed)
    note = f'the trunk is frozen: its {counted(features.domains[0].inputs.shape[1], "feature")} of every example were computed once'
    return build(ModelConfig(kind='linear'), features.domains[0].inputs.shape[1:], outputs), features, (*model.notes, note)


def trunk_features(model: Model, domains: Domains, scaling: Scaling, seed: int) -> Domains:
    """The Domains with a model's features in place of their inputs."""
    parameters = model.init(stream_key(seed, 'init'))
    run = jax.jit(lambda parameters, x: model.features(*parameters, normalise(x, scaling)))
    features = lambda domain: in_blocks(functools.partial(run, parameters), domain.inputs)
    return Domains(domains=tuple(Domain(name=domain.name, inputs=features(domain), labels=domain.labels) for domain in domains.domains),
                   classes=domains.classes, skipped=domains.skipped)


def source_scaling(config: TransferConfig, domains: Domains, sources: Iterable[int]) -> Scaling:
    """The Scaling that is fitted to the domains `sources`.

    For a trunk that is not trained these are all domains, since its features are computed once for all targets: with columns =
    'standard', unlabelled rows of a target take part in mean and deviation there.
    """
    return fit_scaling([domains.domains[source] for source in sources], rows=config.data.rows, columns=config.data.columns,
                       mean=config.data.mean, std=config.data.std)
