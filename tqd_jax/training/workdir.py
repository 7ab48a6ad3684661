"""Builds a Run from its work directory: prepared from its clips, or restored from its newest checkpoint."""
import contextlib
import dataclasses
import io
import json
import os

import jax

from tqd_jax.clips import places
from tqd_jax.config import LEARNED, renders
from tqd_jax.data.held.hold import held_against
from tqd_jax.data.prepare import STORE, prepare, score_share
from tqd_jax.data.skipped import SKIPPED
from tqd_jax.scoring.store import merge_shares
from tqd_jax.training.changes import record_changes
from tqd_jax.training.law_file import LAW, copy_law
from tqd_jax.training.resume import LEAVE, require_same, require_same_config, require_same_weights
from tqd_jax.training.run import build, check_start, foundation_of
from tqd_jax.training.weights import fresh_state, frozen_parameters
from transfer_jax.runtime.config import differences, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.folder.unchanged import unchanged_on_error
from transfer_jax.runtime.parallel.gather import gathered, of_first, together
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.progress import Stopped, StopRequest
from transfer_jax.runtime.saves.checkpoint import Checkpoints

WRITTEN = ('config.json', 'scores.parquet', SKIPPED, 'normaliser.json', LAW, 'cut_captions.jsonl', 'text.json', 'changes.jsonl')
LOOKED_FOR = 64  # clips, of those evenly spread over the library, that tell whether it was moved


def probe_state(config, workdir):
    """(Run, state, frozen) at which gradients mean something: of the newest checkpoint, or of weights to start from where there is none.

    Raises UserError without either and for an expert, and Stopped as prepare_run does.
    """
    if config.wan.expert is not None:
        raise UserError('--mode=align and --mode=learn compare gradients at all t, and an expert has a part of them: config.wan.expert '
                        'must be None')
    if of_first(Checkpoints(workdir / 'checkpoints').latest()) is not None:
        return restore_run(config, workdir)
    if config.init_from is None and config.wan.path is None:
        raise UserError(f'{workdir} has no checkpoint and config.init_from = None: gradients of untrained weights mean nothing; '
                        'run --mode=train first, or name weights')
    run = prepare_run(config, workdir, check_start(config, workdir, fresh=True))
    return run, fresh_state(run), frozen_parameters(run)


def prepare_run(config, workdir, foundation, step=None):
    """The Run, its clips scored and encoded; foundation: of check_start. step: of the newest checkpoint, from which it goes on.

    Raises Stopped where a request stopped the encoding, and UserError where it cannot go on from there; then the folder is as before.
    """
    with unchanged(workdir):
        clips = prepare_once(config, workdir)
        run = prepared(config, workdir, foundation)
        if step is not None:
            checkpoints = Checkpoints(workdir / 'checkpoints')
            extras = checkpoints.extras(step)
            require_same(run, extras)
            checkpoints.require(step, run.abstract_state)
            first_host(record_changes, run, step, extras, clips['counts'], clips['summary'])
    return run


def unchanged(workdir):
    """A context that leaves what a folder says of its clips and its run as it was, if it ends by an error."""
    return unchanged_on_error(workdir, WRITTEN, SKIPPED)


def prepared(config, workdir, foundation):
    """The Run of scored clips, what its cache lacks encoded: captions of samples may be new. Raises Stopped where a request stopped it."""
    if foundation.prepare(workdir):
        raise Stopped
    return build(config, workdir, foundation)


def prepare_once(config, workdir):
    """Scores the clips, each process its share, and writes what a run stands on; a run that has begun keeps the scores that it has.

    Returns {'counts', 'summary'}: how the clips differ from those of the run. Raises UserError where clips_of and held do, before anything
    is written, and Stopped where a request stopped one of several processes.
    """
    data = clips_of(config)
    clips = held(config, data, workdir)
    first_host(_begin, config, workdir)
    if clips['stay']:
        return clips
    if jax.process_count() > 1 and data.clips is not None:
        with StopRequest() as stop:
            together(score_share, data, workdir, jax.process_index(), jax.process_count(), stop)
        if any(gathered([stop.requested])):
            raise Stopped
    first_host(prepare, data, workdir, config.seed)
    return clips


def held(config, data, workdir, *, to='train'):
    """{'stay', 'counts', 'summary'}: whether the scores of the folder's run stay, and how the clips of config.data differ from its clips.

    Where they do not differ, the table gets the paths that they have now. Where they do, it matters what the clips are there to: 'train'
    needs leave, config.data.allow_changes; 'score' is refused; 'read' (samples, evaluations) takes the run's table as it is.
    Raises UserError where they are refused.
    """
    first = jax.process_index() == 0
    return of_first(together(_held, config, data, workdir, to) if first else together(lambda: None))


def _held(config, data, workdir, to):
    if not (workdir / 'scores.parquet').exists() or Checkpoints(workdir / 'checkpoints').latest() is None:
        return {'stay': False, 'counts': {}, 'summary': ''}
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        changes, follow = held_against(data, workdir, workdir / STORE, config.seed)
    if changes and to == 'read':
        print(f'{workdir} holds a run on other clips: {changes.summary}; its own table is read')
        return {'stay': True, 'counts': {}, 'summary': ''}
    if changes and not (to == 'train' and config.data.allow_changes):
        how = f', or go on with these, in a new order, by {LEAVE}' if to == 'train' else ''
        raise UserError(f'{workdir} holds a run on other clips: {changes.summary}; restore them, name another --workdir{how}')
    if not changes:  # else scoring says again what is told here
        print(told.getvalue(), end='')
        follow()
    return {'stay': not changes, 'counts': changes.counts, 'summary': changes.summary}


def _begin(config, workdir):
    remove_normaliser(config, workdir)
    write_atomically(workdir / 'config.json', json.dumps(to_json(config), indent=1).encode())
    if config.law.kind == LEARNED:
        copy_law(config.law.file, workdir)
    merge_shares(workdir / STORE)


def clips_of(config):
    """config.data, whose clips are the cache's table where it names none. Raises UserError where nothing says which clips."""
    data = config.data
    if data.clips is not None or renders(data.clips, data.cache, data.rendered_clips):
        return data
    table = path_of(data.cache or '') / 'scores.parquet'
    if data.cache is None or not table.exists():
        where = 'it names none' if data.cache is None else f'{data.cache} has no scores.parquet'
        raise UserError(f'there are no clips: name them by --config.data.clips=FOLDER, or by --config.data.cache the folder that '
                        f'python -m tqd_jax.encode wrote ({where})')
    return dataclasses.replace(data, clips=str(table))


def remove_normaliser(config, workdir):
    """Removes the normaliser of a folder that nothing was trained in yet where it was fitted to other clips, or is of another kind."""
    path = workdir / 'config.json'
    old = json.loads(path.read_text()) if path.exists() else to_json(config)
    changed = {line.split(':')[0] for line in differences(old, config)}
    keys = {'seed', 'data.clips', 'data.cache', 'data.rendered_clips', 'data.normaliser'}
    if changed & keys and Checkpoints(workdir / 'checkpoints').latest() is None:
        (workdir / 'normaliser.json').unlink(missing_ok=True)


def _are_elsewhere(config, extras, library):
    """Whether the clips are named by another path than in the run's config, or none of some of them is where it was."""
    some = (library.paths[row] for row in sorted({len(library.paths) * part // LOOKED_FOR for part in range(LOOKED_FOR)}))
    is_there = lambda path: places.is_remote(path) or os.path.lexists(places.as_local(path))
    return config.data.clips is not None and (config.data.clips != extras['config']['data']['clips'] or not any(map(is_there, some)))


def restore_run(config, workdir):
    """(Run, its newest state, frozen), what its cache lacks encoded.

    Raises UserError where there is no checkpoint, or one of another config; Stopped as prepared does.
    """
    checkpoints = Checkpoints(workdir / 'checkpoints')
    step = of_first(checkpoints.latest())
    if step is None:
        raise UserError(f'{workdir} has no checkpoint yet: run --mode=train first, or name the --workdir of a run')
    extras = checkpoints.extras(step)
    require_same_config(workdir, config, extras)  # before clips are read
    foundation = foundation_of(config, make_mesh(config.mesh.data, config.mesh.fsdp, config.mesh.context))
    foundation.check(workdir, fresh=False)
    require_same_weights(workdir, foundation, extras)
    run = prepared(config, workdir, foundation)
    require_same(run, extras)
    if of_first(_are_elsewhere(config, extras, run.library)):
        held(config, clips_of(config), workdir, to='read')
        run = prepared(config, workdir, foundation)
    return run, checkpoints.restore(step, run.abstract_state), frozen_parameters(run)
