"""The main job: scores clips, trains a video diffusion model on them by their timestep laws, and reports what came out.

    python -m tqd_jax.main --config=configs/video.py --workdir=runs/video [--mode=train|score|sample|eval|align] [--config.KEY=VALUE ...]
"""
import errno
import json
import pathlib
import platform

import jax
import numpy as np
from absl import flags
from jax.experimental import multihost_utils

from tqd_jax import config as rules
from tqd_jax.align import align
from tqd_jax.data.library import prepare
from tqd_jax.data.write import write_atomically
from tqd_jax.evaluate import loss_scalars, loss_table, validation_batches
from tqd_jax.quality.law import QUADRANTS
from tqd_jax.report import said, write_report
from tqd_jax.run import build, check_start, compile_eval, fresh_state
from tqd_jax.samples import draw_samples
from tqd_jax.train import require_same, require_same_config, train
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.checkpoint import Checkpoints, save_weights
from transfer_jax.runtime.config import differences, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.mesh import initialize_distributed

define_flags('runs/video')
MODE = flags.DEFINE_enum('mode', 'train', ['train', 'score', 'sample', 'eval', 'align'], 'what to do')


def main(config):
    """Runs the mode that the flags ask for; a full disk is told as what it is."""
    initialize_distributed()
    rules.check_whole(config)
    workdir = pathlib.Path(flags.FLAGS.workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        modes = {'train': train_mode, 'score': score_mode, 'sample': sample_mode, 'eval': eval_mode, 'align': align_mode}
        modes[MODE.value](config, workdir)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        raise UserError(f'{error.filename or workdir} cannot be written: {error.strerror}; free space or name another --workdir; '
                        'the same command goes on from the last checkpoint') from error


def train_mode(config, workdir):
    """Prepares the clips, trains to config.train.steps, draws samples, writes the report and the weights."""
    checkpoints = Checkpoints(workdir / 'checkpoints', keep=config.checkpoint.keep)
    latest = checkpoints.latest()
    if latest is not None:
        require_same_config(workdir, config, checkpoints.extras(latest))
    if latest is not None and latest >= config.train.steps and reported(workdir) == latest:
        constant = config.train.schedule == 'constant'
        further = f'to train on, ask for more: --config.train.steps={2 * latest}' if constant else 'its cosine schedule has come to its end'
        print(f'{workdir} holds a finished run of {latest} steps: open {workdir / "report.html"}\n'
              f'{further}; to start anew, name another --workdir')
        return
    check_start(config, fresh=latest is None)
    run = prepared(config, workdir)
    state, stopped = train(run)
    if stopped:
        print(f'stopped and saved at step {int(state.step)}; the same command goes on from there')
        return
    record = draw_samples(run, state.ema)
    if jax.process_index() == 0:
        finish(run, state, record)


def score_mode(config, workdir):
    """Scores the clips and reports on the data alone. Raises UserError where the folder holds a run with another config."""
    checkpoints = Checkpoints(workdir / 'checkpoints')
    if checkpoints.latest() is not None:
        require_same_config(workdir, config, checkpoints.extras(checkpoints.latest()))
    prepare_once(config, workdir)
    _write_facts(config, workdir, {'mode': 'score'})
    write_report(workdir)
    print(f'scores: {workdir / "scores.parquet"}\nreport: {workdir / "report.html"}')


def sample_mode(config, workdir):
    """Draws samples from the newest checkpoint."""
    run, state = trained(config, workdir)
    draw_samples(run, state.ema)
    print(f'samples of step {int(state.step)}: {workdir / "samples"}')


def eval_mode(config, workdir):
    """Prints and writes (eval.json) the newest checkpoint's loss by noise bucket and quality quadrant."""
    run, state = trained(config, workdir)
    loss, count = loss_table(compile_eval(run), state.ema, validation_batches(run.library, run.loader, run.validation))
    record = {'step': int(state.step), 'loss': np.where(count > 0, loss, -1).tolist(), 'count': count.tolist(), **loss_scalars(loss, count)}
    (workdir / 'eval.json').write_text(json.dumps(record))
    print(f'step {int(state.step)}, loss by noise bucket, {len(run.validation)} validation clips')
    for name, row in zip(QUADRANTS, loss, strict=True):
        print(f'{name:>8} ' + ' '.join(f'{value:.4f}' for value in row))


def align_mode(config, workdir):
    """Compares gradients of golden clips with those of worse copies of them; writes alignment.json and the report.

    At the newest checkpoint's averaged weights, or where nothing was trained yet at config.init_from. Raises UserError without either.
    """
    if Checkpoints(workdir / 'checkpoints').latest() is not None:
        run, state = trained(config, workdir)
    elif config.init_from is None:
        raise UserError(f'{workdir} has no checkpoint and config.init_from = None: gradients of untrained weights say nothing; '
                        'run --mode=train first, or name weights')
    else:
        check_start(config, fresh=True)
        run = prepared(config, workdir)
        state = fresh_state(run)
    record = {'step': int(state.step), **align(run, state.ema)}
    if jax.process_index() == 0:
        write_atomically(workdir / 'alignment.json', json.dumps(record, allow_nan=False).encode())
        write_report(workdir)
        print(f'gradients at step {record["step"]}, {record["clips"]} golden clips: {said(record)}\nreport: {workdir / "report.html"}')


def prepared(config, workdir):
    """The Run, its clips scored."""
    prepare_once(config, workdir)
    return build(config, workdir)


def prepare_once(config, workdir):
    """Scores the clips on the first process; the others wait for its files."""
    if jax.process_index() == 0:
        forget_normaliser(config, workdir)
        write_atomically(workdir / 'config.json', json.dumps(to_json(config), indent=1).encode())
        prepare(config.data, workdir, config.seed)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices('clips are scored')


def forget_normaliser(config, workdir):
    """Removes the normaliser of a folder that nothing was trained in yet where it was fitted to other clips, or is of another kind."""
    path = workdir / 'config.json'
    old = json.loads(path.read_text()) if path.exists() else to_json(config)
    changed = {line.split(':')[0] for line in differences(old, config)}
    if changed & {'seed', 'data.clips', 'data.rendered_clips', 'data.normaliser'} and Checkpoints(workdir / 'checkpoints').latest() is None:
        (workdir / 'normaliser.json').unlink(missing_ok=True)


def trained(config, workdir):
    """The Run and its newest state. Raises UserError where there is no checkpoint, or one of another config."""
    checkpoints = Checkpoints(workdir / 'checkpoints', keep=config.checkpoint.keep)
    step = checkpoints.latest()
    if step is None:
        raise UserError(f'{workdir} has no checkpoint yet: run --mode=train first, or name the --workdir of a run')
    run = build(config, workdir)
    require_same(run, checkpoints.extras(step))
    return run, checkpoints.restore(step, run.abstract_state)


def finish(run, state, record):
    """Weights, facts and, when all the rest is there, the report; record is that of the samples."""
    (run.workdir / 'report.html').unlink(missing_ok=True)
    save_weights(run.workdir / 'weights.npz', state.ema)
    _write_facts(run.config, run.workdir, {
        'mode': 'train', 'steps': int(state.step), 'clips': len(run.library),
        'parameters': sum(leaf.size for leaf in jax.tree.leaves(state.params)),
        'sample_motion': float(np.mean(record['samples']['motion'])), 'data_motion': float(np.mean(record['data']['motion'])),
        'validates_on_training_clips': bool(np.isin(run.validation, run.training).all())})
    write_report(run.workdir)
    print(f'report: {run.workdir / "report.html"}')


def reported(workdir):
    """The number of steps that the folder's report is of, or None where there is no report of a training."""
    summary = workdir / 'summary.json'
    return json.loads(summary.read_text()).get('steps') if summary.exists() and (workdir / 'report.html').exists() else None


def _write_facts(config, workdir, facts):
    device = jax.devices()[0]
    machine = {'jax': jax.__version__, 'python': platform.python_version(), 'devices': f'{jax.device_count()} x {device.device_kind}'}
    write_atomically(workdir / 'summary.json', json.dumps({**machine, 'law': config.law.kind, **facts}, indent=1).encode())


if __name__ == '__main__':
    run_app(main, rules.RULES)
