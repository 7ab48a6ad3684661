"""Part, Domain and Domains: the stages from files to the data of a run."""
import dataclasses
import pathlib
from typing import Any

import numpy as np
import scipy.sparse

from transfer_jax.experiment.data.tables.sparse import is_sparse, non_finite, to_dense
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A domain whose classes have no numbers yet.

    labels [n]: names of classes, str, or float32 values of a regression. inputs [n, ...] as in Domain, or paths [n] of image files.
    order: the names of the classes in the order that the file gives them, None where it gives none.
    """
    name: str
    labels: np.ndarray
    inputs: np.ndarray | scipy.sparse.csr_array | None = None
    paths: tuple[pathlib.Path, ...] | None = None
    order: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domain:
    """One data set: a source, a target, or a task of multi-task learning.

    inputs [n, ...]: float32 features [n, F] or uint8 images [n, H, W, C]; a numpy array, a memory map where files were decoded, or a CSR
    array of features (load_domains with sparse=True alone).
    labels [n]: int32 numbers of classes, or float32 values of a regression.
    """
    name: str
    inputs: np.ndarray | scipy.sparse.csr_array
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domains:
    """The domains of a run, with inputs of one shape; classes: their names by number, or None for a regression.

    skipped: a dict {file, reason} for everything that could not be used. Raises UserError where domains do not go together.
    """
    domains: tuple[Domain, ...]
    classes: tuple[str, ...] | None
    skipped: tuple[dict[str, Any], ...] = ()

    def __post_init__(self):
        for domain in self.domains:
            check_domain(domain, self.classes, self.domains[0])
        if len(set(self.names)) < len(self.names):
            raise UserError(f'two domains have the same name: {", ".join(self.names)}; rename one')

    @property
    def names(self) -> tuple[str, ...]:
        """The domains' names, in their order."""
        return tuple(domain.name for domain in self.domains)

    @property
    def sparse(self) -> bool:
        """Whether inputs are CSR."""
        return is_sparse(self.domains[0].inputs)

    def dense(self) -> 'Domains':
        """The Domains with arrays as inputs. Raises UserError where there is no room for them."""
        array = lambda domain: to_dense(f'domain {domain.name!r}', domain.inputs) if is_sparse(domain.inputs) else domain.inputs
        domains = tuple(dataclasses.replace(domain, inputs=array(domain)) for domain in self.domains)
        return dataclasses.replace(self, domains=domains)

    def __getitem__(self, name: str) -> Domain:
        """The Domain of a name. Raises UserError where there is none."""
        if name not in self.names:
            raise UserError(f'there is no domain {name!r}; there are {", ".join(self.names)}')
        return self.domains[self.names.index(name)]


def check_domain(domain: Domain, classes: tuple[str, ...] | None, first: Domain) -> None:
    """Raises UserError, naming domain, row and value, for data that cannot train a model."""
    inputs, labels, where = domain.inputs, domain.labels, f'domain {domain.name!r}'
    if not len(labels):
        raise UserError(f'{where} is empty; leave it out or give it examples')
    if inputs.shape[0] != len(labels):
        raise UserError(f'{where}: {counted(inputs.shape[0], "input")} for {counted(len(labels), "label")}')
    if inputs.shape[1:] != first.inputs.shape[1:]:
        raise UserError(f'{where} has inputs of shape {inputs.shape[1:]}, domain {first.name!r} of {first.inputs.shape[1:]}: '
                        'all domains need the same features (images: set config.data.image_size and config.data.channels)')
    if np.issubdtype(inputs.dtype, np.floating) and len(rows := non_finite(inputs)[0]):
        raise UserError(f'{where}: {counted(len(np.unique(rows)), "row holds", "rows hold")} NaN or infinity, first row {rows[0]}; '
                        'drop them or fill them in')
    if classes is None:
        if not np.isfinite(labels).all():
            raise UserError(f'{where}: the label of row {np.argmin(np.isfinite(labels))} is NaN or infinite; drop the row')
    elif labels.min() < 0 or labels.max() >= len(classes):
        row = np.argmax((labels < 0) | (labels >= len(classes)))
        raise UserError(f'{where}: the label of row {row} is {labels[row]}; {counted(len(classes), "class is", "classes are")} '
                        f'numbered 0 to {len(classes) - 1}')
