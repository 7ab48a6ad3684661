"""A law learned on a run's own clips: how often each kind should teach in each bucket of noise, for clips like the target's."""
import numpy as np

from tqd_jax.data.streams import hashed_uniform
from tqd_jax.gradients.bins import kept_for
from tqd_jax.gradients.probe import LEAST, measured, pilot_chunks, quantities, shares, shares_error
from tqd_jax.timesteps.learned import groups_of, weights
from transfer_jax.runtime.errors import UserError

CHOICE = 2**34 + 1  # the salt of the hash that chooses clips


def learn(run, params):
    """The record of law.json, from config.learn and training clips of the shape of which all kinds have most.

    by, target, groups [K], clips [K] (how many of each), t [B] (the buckets' middles), shares and error [B][K] (of the draws, and the
    jackknife's standard error), weight [B][K] (of a clip, relative to uniform training), rho [B] (see tqd_jax.gradients.probe). Raises
    UserError     where config.learn.target is no kind, or a kind has too few clips.
    """
    settings, library = run.config.learn, run.library
    names, labels = groups_of(settings.by, library.source_names, library.source, library.mq, library.vq)
    target = target_of(settings, names)
    rows = rows_of_kinds(run, names, labels, settings)
    kinds = [target, *(kind for kind in range(len(names)) if kind != target)]  # the target's first
    clips = np.concatenate([rows[kind] for kind in kinds])
    arrays = run.loader.whole(clips)
    places = np.split(np.arange(len(arrays['tokens'])), len(kinds))
    chunks = pilot_chunks(places, settings.chunks, settings.chunk, run.config.seed)
    products, d = measured(run.objective, params, arrays['frames'], arrays['tokens'], chunks, settings.buckets,
                           kept_for(run, 'learn', params, clips))
    counts = np.bincount(labels[run.training], minlength=len(names))
    found = described(quantities(products, d, settings.chunk, among=True), counts[kinds])
    back = np.argsort(kinds)
    return {'by': settings.by, 'target': names[target], 'groups': names, 'clips': counts.tolist(),
            't': ((np.arange(settings.buckets) + 0.5) / settings.buckets).tolist(), 'rho': found.pop('rho').tolist(),
            **{name: value[:, back].tolist() for name, value in found.items()}}


def target_of(settings, names):
    """The number of the kind that config.learn.target names. Raises UserError where it names none, or all clips are of one kind."""
    if len(names) < 2:
        raise UserError(f'by config.learn.by = {settings.by!r} all clips are of one kind, {names[0]}: there is nothing to weigh; '
                        'tell kinds apart by something else, or name several sources')
    wanted = settings.target or ('golden' if settings.by == 'quadrant' else None)
    if wanted not in names:
        given = 'None' if settings.target is None else repr(settings.target)
        raise UserError(f'config.learn.target = {given} names no kind of config.learn.by = {settings.by!r}; '
                        f'the clips have: {"; ".join(names)}')
    return names.index(wanted)


def rows_of_kinds(run, names, labels, settings):
    """[K] lists of chunks x chunk rows each, of one shape, chosen by a hash of their content. Raises UserError where a kind has fewer."""
    library, need = run.library, settings.chunks * settings.chunk
    counts = np.zeros((len(library.buckets), len(names)), int)
    np.add.at(counts, (library.bucket[run.training], labels[run.training]), 1)
    shape = max(range(len(counts)), key=lambda b: (min(need, counts[b].min()), counts[b].sum()))  # one that all kinds have clips of
    few = [f'{name} ({count})' for name, count in zip(names, counts[shape], strict=True) if count < need]
    if few:
        bucket = library.buckets[shape]
        less = 'lower one of them' if counts[shape].min() >= LEAST else f'{LEAST} of a kind are the least, so give more clips'
        raise UserError(f'too few training clips of {bucket.width} x {bucket.height} x {bucket.frames} for config.learn.chunks x chunk = '
                        f'{settings.chunks} x {settings.chunk}: {", ".join(few)}; {less}, or tell kinds apart by something else '
                        '(config.learn.by)')
    usable = run.training[library.bucket[run.training] == shape]
    order = usable[np.argsort(hashed_uniform(run.config.seed, CHOICE, library.ids[usable]), kind='stable')]
    return [order[labels[order] == kind][:need] for kind in range(len(names))]


def described(found, counts):
    """{'shares', 'error', 'weight': [B, K], 'rho': [B]} of Quantities for kinds of `counts` [K] clips."""
    q = shares(found.gram, found.rho, counts)
    return {'shares': q, 'error': shares_error(found, counts), 'weight': weights(q, counts), 'rho': found.rho}
