"""A law learned on a run's own clips: how often each group should teach in each noise bin, for clips like the target's."""
import numpy as np

from tqd_jax.data.streams import hashed_uniform
from tqd_jax.gradients.bins import bin_store
from tqd_jax.gradients.probe import MIN_CHUNKS, probe_chunks, probe_products
from tqd_jax.gradients.shares import quantities, shares, shares_error
from tqd_jax.timesteps.learned import groups_of, weights
from transfer_jax.runtime.errors import UserError

CHOICE = 2**34 + 1  # the salt of the hash that chooses clips


def learn(run, trained, frozen):
    """The record of law.json, from config.learn and training clips of the shape of which all groups have most.

    by, target, groups [K], clips [K] (how many of each), t [B] (the bins' middles), shares and error [B][K] (of the draws, and the
    jackknife's standard error), weight [B][K] (of a clip, relative to uniform training), rho [B] (see tqd_jax.gradients.probe). Raises
    UserError where config.learn.target is no group, or a group has too few clips.
    """
    settings, library = run.config.learn, run.library
    names, labels = groups_of(settings.by, library.source_names, library.source, library.mq, library.vq)
    target = target_of(settings, names)
    rows = rows_of_groups(run, names, labels, settings)
    order = [target, *(group for group in range(len(names)) if group != target)]  # the target's first
    products, d = _probe(run, trained, frozen, [rows[group] for group in order], settings)
    counts = np.bincount(labels[run.training], minlength=len(names))
    record = law_record(quantities(products, d, settings.chunk, among=True), counts[order], np.argsort(order))
    return {'by': settings.by, 'target': names[target], 'groups': names, 'clips': counts.tolist(),
            't': ((np.arange(settings.bins) + 0.5) / settings.bins).tolist(), **record}


def _probe(run, trained, frozen, groups, settings):
    """probe_products of groups of rows of the library, the target's first."""
    clips = np.concatenate(groups)
    places = np.split(np.arange(len(clips)), len(groups))
    chunks = probe_chunks(places, settings.chunks, settings.chunk, run.config.seed)
    store = bin_store(run, 'learn', (trained, frozen), clips)
    return probe_products(run.objective, trained, frozen, run.loader.whole(clips), chunks, settings.bins, store)


def target_of(settings, names):
    """The number of the group that config.learn.target names. Raises UserError where it names none, or all clips are of one group."""
    if len(names) < 2:
        raise UserError(f'by config.learn.by = {settings.by!r} all clips are of one group, {names[0]}: there is nothing to weigh; '
                        'group clips by something else, or name several sources')
    wanted = settings.target or ('golden' if settings.by == 'quadrant' else None)
    if wanted not in names:
        raise UserError(f'config.learn.target = {settings.target!r} names no group of config.learn.by = {settings.by!r}; '
                        f'the clips have: {"; ".join(names)}')
    return names.index(wanted)


def rows_of_groups(run, names, labels, settings):
    """[K] arrays of chunks x chunk rows each, of one shape, chosen by a hash of their content. Raises UserError where a group has fewer."""
    library, need = run.library, settings.chunks * settings.chunk
    counts = np.zeros((len(library.buckets), len(names)), int)
    np.add.at(counts, (library.bucket[run.training], labels[run.training]), 1)
    shape = max(range(len(counts)), key=lambda b: (min(need, counts[b].min()), counts[b].sum()))  # one that all groups have clips of
    require_clips(settings, names, counts[shape], library.buckets[shape])
    usable = run.training[library.bucket[run.training] == shape]
    order = usable[np.argsort(hashed_uniform(run.config.seed, CHOICE, library.ids[usable]), kind='stable')]
    return [order[labels[order] == group][:need] for group in range(len(names))]


def require_clips(settings, names, counts, bucket):
    """Raises UserError where a group has fewer clips of a bucket, counts [K], than config.learn asks for."""
    few = [f'{name} ({count})' for name, count in zip(names, counts, strict=True) if count < settings.chunks * settings.chunk]
    if few:
        less = 'lower one of them' if min(counts) >= MIN_CHUNKS else f'{MIN_CHUNKS} of a group are the least, so give more clips'
        raise UserError(f'too few training clips of {bucket.width} x {bucket.height} x {bucket.frames} for config.learn.chunks x chunk = '
                        f'{settings.chunks} x {settings.chunk}: {", ".join(few)}; {less}, or group clips by something else '
                        '(config.learn.by)')


def law_record(probe, counts, order):
    """{'shares', 'error', 'weight': [B][K], 'rho': [B]} of the Quantities of groups of `counts` [K] clips, groups in another order [K]."""
    q = shares(probe.gram, probe.rho, counts)
    columns = {'shares': q, 'error': shares_error(probe, counts), 'weight': weights(q, counts)}
    return {'rho': probe.rho.tolist(), **{name: value[:, order].tolist() for name, value in columns.items()}}
