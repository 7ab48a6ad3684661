"""Where a run begins or goes on, and what a checkpoint must agree with."""
import dataclasses
import json
from typing import Any

import numpy as np

from tqd_jax.config import fixed_keys, keys_by_leave, renders
from tqd_jax.training.changes import read_changes
from tqd_jax.training.log import HISTOGRAM_BINS
from tqd_jax.training.state import LAYOUT, TrainState, require_layout
from tqd_jax.training.weights import fresh_state, frozen_parameters
from transfer_jax.runtime import job
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import of_first

LEAVE = '--config.data.allow_changes=True'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """A state and frozen parameters, the updates done, and the histogram [4, HISTOGRAM_BINS] of timesteps drawn so far."""
    state: TrainState
    frozen: Any
    step: int
    histogram: np.ndarray


def start_of(run, checkpoints):
    """The Start of a run: its newest checkpoint, or a fresh state. Raises UserError as require_same does."""
    step = of_first(checkpoints.latest())
    if step is None:
        return Start(state=fresh_state(run), frozen=frozen_parameters(run), step=0, histogram=np.zeros((4, HISTOGRAM_BINS), np.int64))
    extras = checkpoints.extras(step)
    require_same(run, extras)
    print(f'resuming from step {step}', flush=True)
    return Start(state=checkpoints.restore(step, run.abstract_state), frozen=frozen_parameters(run), step=extras['next_batch'],
                 histogram=np.array(extras['histogram'], np.int64))


def extras_of(run, step, histogram):
    """What a checkpoint holds beside the state, as plain values."""
    path = run.workdir / 'normaliser.json'
    normaliser = json.loads(path.read_text()) if path.exists() else None
    return {'layout': LAYOUT, 'next_batch': step, 'library': run.fingerprint, 'weights': run.foundation.identity,
            'config': to_json(run.config), 'histogram': histogram.tolist(), 'normaliser': normaliser,
            'changes': read_changes(run.workdir)}


def require_same_config(workdir, config, extras):
    """Raises UserError where a checkpoint's config differs in a key that the numbers depend on, without leave to change it."""
    require_layout(workdir, extras)
    old, allowed = extras['config'], keys_by_leave(config)
    _require_same_road(workdir, old, config)
    before, now = (renders(data['clips'], data.get('cache'), data['rendered_clips']) for data in (old['data'], to_json(config.data)))
    fixed, unread = ('data.clips',) if before != now else (), () if before or now else ('data.rendered_clips',)
    job.require_same_config(workdir, old, config, (*fixed_keys(config), *fixed), allowed=(*allowed, *unread), leave=LEAVE)


def _require_same_road(workdir, old, config):
    """Raises UserError where one of two configs trains on pixels and the other on latents: nearly all keys differ, and one says it."""
    before = old.get('wan', {}).get('path')
    if (before is None) != (config.wan.path is None):
        kind, there = ('pixels', '--config=configs/pixels.py') if before is None else (
            'latents', f'the config that it has config.wan.path={before} from')
        raise UserError(f'{workdir} holds a run on {kind}: go on by {there}, or name another --workdir (make demo WORKDIR=FOLDER)')


def require_same(run, extras):
    """Raises UserError where a checkpoint belongs to another config or another library, without leave to change it."""
    require_same_config(run.folder, run.config, extras)
    if extras['library'] != run.fingerprint and not run.config.data.allow_changes:
        changed = read_changes(run.workdir)
        if changed and changed[-1]['step'] == extras['next_batch']:
            raise UserError(f'{run.folder} was changed at step {extras["next_batch"]} by leave ({changed[-1]["summary"]}), and has saved '
                            f'nothing since: give {LEAVE} again, or restore what it was')
        raise UserError(f'{run.folder} holds a run on another set of clips or scores; use another --workdir, restore the clips, or go on '
                        f'with them by {LEAVE}')
    require_same_weights(run.folder, run.foundation, extras)


def require_same_weights(workdir, foundation, extras):
    """Raises UserError where a checkpoint's run started from other weights than those of the foundation."""
    if extras.get('weights', '') != foundation.identity:
        raise UserError(f'{workdir} holds a run that started from other weights than those of config.wan.path: name the ones that it '
                        'started from, or another --workdir')
