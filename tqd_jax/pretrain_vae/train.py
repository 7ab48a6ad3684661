"""The training of the small autoencoder: updates, log and saves, and the published folder at the end."""
import json
import shutil

import jax
import numpy as np

from tqd_jax.pretrain_vae.clips import crops, rendered_clips
from tqd_jax.pretrain_vae.publish import as_json, publish
from tqd_jax.pretrain_vae.settings import Settings
from tqd_jax.pretrain_vae.step import initial_state, rate_at, update
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.progress import Progress, StopRequest
from transfer_jax.runtime.tensors import load_weights, save_weights

LOG_EVERY, SAVE_EVERY = 50, 400


def train(settings: Settings, workdir, out) -> None:
    """Runs what is left of the settings' updates in `workdir`, and at the end writes the folder `out` (publish).

    workdir/state.npz and log.jsonl belong together by their step; SIGTERM saves and ends. The same settings give the same bits on the
    same machine, however often the run was stopped. Raises UserError where the workdir is of other settings.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    _claim(workdir, settings)
    clips = rendered_clips(workdir / 'library', settings.clips, settings.clips_seed)
    step, state = _restored(workdir, settings)
    rows = _rows(workdir / 'log.jsonl', step)
    with Progress(settings.steps, step, 'pretrain-vae', warms=True) as progress, StopRequest() as stop:
        while step < settings.steps and not stop.requested:
            phase, rate = settings.at(step)[0], np.float32(rate_at(step, settings))
            video = crops(clips, phase, settings.seed, step)
            state, measured = update(state, video, np.uint32(step), rate, settings, phase.decoder_only)
            step += 1
            if step % LOG_EVERY == 0:
                rows.append({'step': step, **{name: float(value) for name, value in measured.items()}})
            progress.update(1, mse=f'{rows[-1]["mse"] if rows else float("nan"):.4f}')
            if step % SAVE_EVERY == 0 or step == settings.steps or stop.requested:
                _save(workdir, step, state, rows)
    if step == settings.steps:
        publish(out, state.average, settings, clips)
        shutil.copy(workdir / 'log.jsonl', out / 'log.jsonl')


def _claim(workdir, settings):
    """Writes the settings of a new run, or holds them against those of the run that the folder has."""
    path, text = workdir / 'settings.json', as_json(settings)
    if not path.exists() and not (workdir / 'state.npz').exists():
        write_atomically(path, text.encode())
    old, new = json.loads(path.read_text() if path.exists() else '{}'), json.loads(text)
    if old != new:
        raise UserError(f'{workdir} holds a run of other settings ({", ".join(key for key in new if old.get(key) != new[key])}): name '
                        'another --workdir, or remove the folder')


def _save(workdir, step, state, rows):
    write_atomically(workdir / 'log.jsonl', ''.join(json.dumps(row) + '\n' for row in rows).encode())
    save_weights(workdir / 'state.npz', {'step': np.int64(step), 'state': state})


def _restored(workdir, settings):
    """(updates so far, State): of the workdir's checkpoint, or of the start."""
    state = initial_state(settings)
    if not (workdir / 'state.npz').exists():
        return 0, state
    saved = load_weights(workdir / 'state.npz', {'step': np.int64(0), 'state': state})
    return int(saved['step']), jax.tree.map(jax.numpy.asarray, saved['state'])


def _rows(path, step):
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [row for row in rows if row['step'] <= step]
