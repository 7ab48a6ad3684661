"""The scored clips of a run in memory: `scores.parquet` on disk becomes arrays, held against the config."""
import dataclasses

import numpy as np

from tqd_jax.clips.strings import Strings
from tqd_jax.data.buckets import Bucket
from tqd_jax.data.columns import read_columns
from tqd_jax.data.rows import Rows
from tqd_jax.data.streams import hashed_uniform
from tqd_jax.timesteps.acceptance import acceptance_probability
from tqd_jax.timesteps.learned import LearnedLaw, groups_of
from tqd_jax.timesteps.quadrants import quadrant
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.paths import path_of

WHOLE = ('source_names', 'further_captions', 'further_tokens')  # of read_columns: not a value a row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Library(Rows):
    """The Rows of a run, and what the loader's workers do not need of them; pickled, only the Rows are left.

    source: int into source_names, with their mixing `rates`. acceptance: probability of being in an epoch, by quality dropout or a
    learned law, and for an expert by its part of t too (for_expert). captions: Strings, the first of each clip;
    further_captions: those of further_tokens. width, height in pixels.
    """
    source: np.ndarray
    source_names: tuple
    rates: np.ndarray
    acceptance: np.ndarray
    captions: Strings
    width: np.ndarray
    height: np.ndarray
    further_captions: Strings = dataclasses.field(default_factory=lambda: Strings.of([]))

    def held_out(self, fraction, most, seed):
        """Rows (training, held out): of every quadrant at most `fraction` and `most` clips are held out, by a content hash.

        A library too small to spare any trains on all its clips, and those held out are among them.
        """
        everything = np.arange(len(self))
        by_quadrant = self._by_quadrant(everything, seed)
        held = np.sort(np.concatenate([rows[:min(most, int(fraction * len(rows)))] for rows in by_quadrant]))
        if not held.size:
            return everything, self.validation(everything, most, seed)
        return np.setdiff1d(everything, held), held

    def validation(self, held, most, seed):
        """Of the rows `held`, at most `most` of every quadrant: the first ones in the order of the same hash."""
        return np.sort(np.concatenate([rows[:most] for rows in self._by_quadrant(held, seed)]))

    def _by_quadrant(self, rows, seed):
        order = rows[np.argsort(hashed_uniform(seed, 2**32, self.ids[rows]), kind='stable')]
        quadrants = quadrant(self.mq[order], self.vq[order])
        return [order[quadrants == q] for q in range(4)]


def load_library(data, workdir, text, law, usable=None):
    """The Library of a prepared run, its captions prepared by the TextEncoder `text`, its timesteps by `law`, a LawConfig or LearnedLaw.

    usable: function of (columns, buckets) to bool [n], the clips to take; None: all.

    Raises UserError where config.data.mix names a source that no clip has, or leaves one out, and where a learned law has no weights for
    a group of its clips.
    """
    buckets, path = buckets_of(data), path_of(workdir) / 'scores.parquet'
    columns = read_columns(path, text, buckets, data.fps, data.captions)
    if usable is not None:
        columns = taken(columns, usable(columns, buckets))
    names, source = np.array(columns.pop('source_names')), columns['source']
    group, acceptance = _group_and_acceptance(law, names, source, columns['mq'], columns['vq'])
    rates, weights = _mix(data.mix, names, source, acceptance if data.dropout == 'sampler' and isinstance(law, LearnedLaw) else None)
    if data.dropout != 'none' and not acceptance.any():
        raise UserError(f'config.data.dropout = {data.dropout!r} accepts none of {counted(len(acceptance), "clip")}: '
                        'every max(mq, vq) is 0; set it to none')
    return Library(
        **columns, source_names=tuple(names.tolist()), rates=rates, buckets=buckets,
        acceptance=acceptance if data.dropout == 'sampler' else np.ones_like(acceptance),
        weight=(weights[source] * (acceptance if data.dropout == 'weight' else 1.0)).astype(np.float32), law=law, group=group)


def taken(columns, mask):
    """The rows of read_columns where the mask [n] is true. Raises UserError where there are none."""
    if not mask.any():
        raise UserError(f'none of {counted(len(mask), "clip")} is encoded: see skipped.jsonl, or encode them (python -m tqd_jax.encode)')
    return {name: value if name in WHOLE else value[mask] for name, value in columns.items()}


def buckets_of(data):
    """The Buckets of config.data."""
    return tuple(Bucket(width=w, height=h, frames=f) for w, h, f in data.buckets)


def _group_and_acceptance(law, names, source, mq, vq):
    """Each clip's group, and how often it is drawn: quality dropout, or as a learned law weighs its group."""
    if not isinstance(law, LearnedLaw):
        return np.zeros(len(mq), int), acceptance_probability(mq, vq)
    groups, labels = groups_of(law.by, names, source, mq, vq)
    others = sorted(set(groups) - set(law.groups))
    if others:
        raise UserError(f'config.law.file has the groups {", ".join(law.groups)}, and the clips have {", ".join(others)} too: '
                        'learn the law on a library that has them (--mode=learn)')
    group = np.array([law.groups.index(name) for name in groups])[labels]
    try:
        return group, law.acceptance(group)
    except ValueError as error:
        raise UserError(f'config.law.file, and the clips of this library: {error}; it has only {", ".join(groups)}') from None


def _mix(mix, names, source, acceptance=None):
    """Rates (default: by number of clips, each counting `acceptance`) and loss weights (default: 1) of the sources."""
    if not mix:
        total = len(source) if acceptance is None else acceptance.sum()
        return np.bincount(source, acceptance, minlength=len(names)) / total, np.ones(len(names))
    check_mix(mix, names.tolist())
    return tuple(np.array([float(getattr(mix[name], key)) for name in names]) for key in ('rate', 'weight'))


def check_mix(mix, names):
    """Raises UserError where config.data.mix names a source that is not among `names`, or leaves one out; an empty one leaves out none."""
    if mix and set(mix) != set(names):
        raise UserError(f'config.data.mix names the sources {sorted(mix)}, and the clips have {sorted(names)}; name each source once')
