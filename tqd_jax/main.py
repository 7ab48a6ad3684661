"""The main job: scores clips, trains a video diffusion model on them by their timestep laws, and reports what came out.

    python -m tqd_jax.main --config=configs/video.py --workdir=runs/video [--mode=MODE] [--config.KEY=VALUE ...]

MODE: train (the default), score, sample, eval, align, learn.
"""
import functools
import json

import jax
import numpy as np

from tqd_jax.comparison.compare import compare
from tqd_jax.comparison.second import check_clips, check_second, lacks_comparison, tell_left_out
from tqd_jax.config import Config, check_whole
from tqd_jax.gradients.align import align
from tqd_jax.gradients.bins import remove_store
from tqd_jax.gradients.learn import learn
from tqd_jax.models.io.lora_write import write_lora
from tqd_jax.report.comparison import verdicts
from tqd_jax.report.gradients import summary
from tqd_jax.report.page import LOSS_OF_TRAINING_CLIPS, write_report
from tqd_jax.report.results import read_results
from tqd_jax.timesteps.quadrants import QUADRANTS
from tqd_jax.training.evaluation import loss_record, loss_scalars, loss_table, validation_batches
from tqd_jax.training.loop import train
from tqd_jax.training.programs import compile_eval
from tqd_jax.training.resume import LEAVE, require_same_config, require_same_weights
from tqd_jax.training.run import check_start, foundation_of
from tqd_jax.training.sampling.samples import are_drawn, draw_samples
from tqd_jax.training.weights import averaged_weights
from tqd_jax.training.workdir import WRITTEN, clips_of, held, prepare_once, prepare_run, probe_state, restore_run, unchanged
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.folder.unchanged import undo_killed
from transfer_jax.runtime.job import machine, print_stop, run_mode
from transfer_jax.runtime.parallel.gather import of_first
from transfer_jax.runtime.parallel.hosts import fetch, first_host
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.progress import Stopped, StopRequest
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.saves.steps import is_copied
from transfer_jax.runtime.speed.kept import compiled_programs_kept
from transfer_jax.runtime.tensors import save_weights


def main(config, workdir, mode):
    """Runs a mode on the checked config, in its folder."""
    check_whole(config)
    try:
        run_mode({mode: functools.partial(_kept, mode)}, mode, config, workdir, alone=mode not in BESIDE)
    except Stopped:
        print_stop(saved=mode not in BESIDE)


def _kept(mode, config, workdir):
    """Runs a mode in a folder without what a killed command left half done, the programs that it compiles kept there."""
    undo_killed(workdir, WRITTEN, held=mode not in BESIDE)
    with compiled_programs_kept(workdir / 'compiled'):
        MODES[mode](config, workdir)


def train_mode(config, workdir):
    """Prepares the clips, trains to config.train.steps, draws samples, writes the report and the weights; then the second run of
    config.compare, and the report anew."""
    if is_copied(workdir) and jax.process_count() > 1:
        raise UserError(f'{workdir}: several processes save their checkpoints to gs:// or to a disk that all see; to s3:// one process can')
    latest, reported = of_first((_latest_step(config, workdir), report_step(workdir)))
    trained = latest is not None and latest >= config.train.steps and reported == latest
    if trained and not of_first(lacks_comparison(config, workdir, latest)):
        constant = config.train.schedule == 'constant'
        more = f'to train on, ask for more: --config.train.steps={2 * latest}'
        further = more if constant else f'its cosine schedule has come to its end; {more} {LEAVE}, along the longer cosine'
        print(f'{workdir} holds a finished run of {latest} steps: open {workdir / "report.html"}\n'
              f'{further}; to start anew, name another --workdir')
        return
    first_host(check_second, config, workdir)
    foundation = check_start(config, workdir, fresh=latest is None)
    if latest is not None:
        require_same_weights(workdir, foundation, Checkpoints(workdir / 'checkpoints').extras(latest))
    run = prepare_run(config, workdir, foundation, latest)
    first_host(check_clips, run)
    with StopRequest():
        stopped = None if trained and of_first(are_drawn(run)) else _train(run)
        if stopped is None:
            stopped = _compare(run)
    if stopped is not None:
        print_stop(stopped)


def _train(run):
    """Trains, draws samples, and finishes; returns the step at which a request stopped it, or None."""
    state, frozen, stopped = train(run)
    if stopped:
        return int(state.step)
    record = draw_samples(run, state.average, frozen)
    first_host(finish, run, state, frozen, record, fetch(result_weights(run, state, frozen)))
    return None


def _compare(run):
    """The second run of config.compare where it is asked for and not there; returns the step at which a request stopped it, or None."""
    steps = of_first(Checkpoints(run.workdir / 'checkpoints').latest())
    if not of_first(lacks_comparison(run.config, run.workdir, steps)):
        first_host(tell_left_out, run.config, run.workdir)
        return None
    stopped = compare(run, steps)
    if stopped is None:
        first_host(_finish_comparison, run.workdir)
    return stopped


def _finish_comparison(workdir):
    write_report(workdir)
    print(*verdicts(read_results(workdir).comparison), f'report: {workdir / "report.html"}', sep='\n')


def score_mode(config, workdir):
    """Scores the clips and reports on the data alone.

    Raises UserError where the folder holds a run with another config or other clips, and for weights and shapes that training refuses.
    """
    latest = of_first(_latest_step(config, workdir))
    foundation_of(config, make_mesh(devices=jax.local_devices()))
    if latest is not None:
        held(config, clips_of(config), workdir, to='score')
    with unchanged(workdir):
        prepare_once(config, workdir)
    first_host(_finish_scores, config, workdir)


def _finish_scores(config, workdir):
    _write_facts(config, workdir, {'mode': 'score'})
    write_report(workdir)
    print(f'scores: {workdir / "scores.parquet"}\nreport: {workdir / "report.html"}')


def sample_mode(config, workdir):
    """Draws samples from the newest checkpoint."""
    run, state, frozen = restore_run(config, workdir)
    with StopRequest():
        draw_samples(run, state.average, frozen)
    if jax.process_index() == 0:
        print(f'samples of step {int(state.step)}: {workdir / "samples"}')


def eval_mode(config, workdir):
    """Prints and writes (eval.json) the newest checkpoint's loss by noise bin and quality quadrant."""
    run, state, frozen = restore_run(config, workdir)
    programs, batches = compile_eval(run), validation_batches(run.library, run.loader, run.validation)
    with StopRequest():
        loss, count = loss_table(programs, (state.average, frozen), batches, run.objective.t_range)
    first_host(_finish_eval, run, int(state.step), loss, count)


def _finish_eval(run, step, loss, count):
    write_atomically(run.workdir / 'eval.json', json.dumps({**loss_record(step, loss, count), **loss_scalars(loss, count)}).encode())
    name = LOSS_OF_TRAINING_CLIPS if run.validates_on_training_clips else 'validation loss'
    print(f'step {step}, {name} by noise bin, {counted(len(run.validation), "clip")}')
    for name, row in zip(QUADRANTS, loss, strict=True):
        print(f'{name:>8} ' + ' '.join(f'{value:.4f}' for value in row))


def align_mode(config, workdir):
    """Compares gradients of golden clips with those of worse copies of them; writes alignment.json and the report."""
    run, state, frozen = probe_state(config, workdir)
    with StopRequest():
        record = {'step': int(state.step), **align(run, state.average, frozen)}
    first_host(_finish_probe, workdir, 'align', 'alignment.json', record)
    print(f'gradients at step {record["step"]}, {counted(record["clips"], "golden clip")}: {summary(record)}\nreport: '
          f'{workdir / "report.html"}')


def learn_mode(config, workdir):
    """Learns when and how often each group of clips should teach, from gradients; writes law.json and the report."""
    run, state, frozen = probe_state(config, workdir)
    with StopRequest():
        record = {'step': int(state.step), **learn(run, state.average, frozen)}
    first_host(_finish_probe, workdir, 'learn', 'law.json', record)
    print(f'law for clips like "{record["target"]}", at step {record["step"]}: {workdir / "law.json"}\n'
          f'report: {workdir / "report.html"}\n'
          f'to train by it, in another --workdir: --config.law.kind=learned --config.law.file={workdir / "law.json"}')


def _finish_probe(workdir, mode, name, record):
    """Writes the record of a mode that measures gradients, and the report; what the mode stored on its way is removed."""
    write_atomically(workdir / name, json.dumps(record, allow_nan=False).encode())
    remove_store(workdir, mode)
    write_report(workdir)


def finish(run, state, frozen, record, weights):
    """Weights (of result_weights, on the host), facts and, when all the rest is there, the report; record is that of the samples."""
    (run.workdir / 'report.html').unlink(missing_ok=True)
    save_result(run, weights)
    _write_facts(run.config, run.workdir, {
        'mode': 'train', 'steps': int(state.step), 'clips': len(run.library),
        'parameters': _count((state.trained, frozen['model'])), 'trained': _count(state.trained),
        'sample_motion': float(np.mean(record['samples']['motion'])), 'data_motion': float(np.mean(record['data']['motion'])),
        'validates_on_training_clips': run.validates_on_training_clips})
    write_report(run.workdir)
    print(f'report: {run.workdir / "report.html"}')


def result_weights(run, state, frozen):
    """What a finished run writes: all parameters of a model of pixels, adapters on published weights, {} of a whole published model."""
    if run.config.wan.path is None:
        return averaged_weights(state, frozen)
    return {} if run.model.lora is None else state.average


def save_result(run, weights):
    """weights.npz of a model of pixels, lora.safetensors of adapters on published weights; whole published models go out by export."""
    lora, folder = run.model.lora, run.workdir
    if run.config.wan.path is None:
        save_weights(folder / 'weights.npz', weights)
    elif lora is not None:
        write_lora(folder / 'lora.safetensors', weights, rank=lora.rank, alpha=lora.alpha, config=run.model, kind='comfyui')
        print(f'LoRA, as ComfyUI and diffusers read it: {folder / "lora.safetensors"}')
    if run.config.wan.path is not None:
        print(f'{"weights" if lora is None else "other layouts"}: python -m tqd_jax.export {folder} --format=diffusers --output=PATH')


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def report_step(workdir):
    """The number of steps that the folder's report is of, or None where there is no report of a training."""
    summary = workdir / 'summary.json'
    return json.loads(summary.read_text()).get('steps') if summary.exists() and (workdir / 'report.html').exists() else None


def _latest_step(config, workdir):
    """The step of the folder's newest checkpoint, or None. Raises UserError where it is of another config."""
    checkpoints = Checkpoints(workdir / 'checkpoints')
    latest = checkpoints.latest()
    if latest is not None:
        require_same_config(workdir, config, checkpoints.extras(latest))
    return latest


def _write_facts(config, workdir, facts):
    write_atomically(workdir / 'summary.json', json.dumps({**machine(), 'law': config.law.kind, **facts}, indent=1).encode())


BESIDE = ('sample', 'eval')  # modes that may run beside a training: they read its newest checkpoint, and write their own files
MODES = {'train': train_mode, 'score': score_mode, 'sample': sample_mode, 'eval': eval_mode, 'align': align_mode,
         'learn': learn_mode}
define_flags('runs/video', tuple(MODES))

if __name__ == '__main__':
    run_app(main, Config, ('workdir', 'mode'))
