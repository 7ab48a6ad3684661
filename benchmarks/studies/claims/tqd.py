"""Study 1: every arm on every seed in both regimes, measured against the truth; what is done is kept, what is stopped goes on."""
import dataclasses
import functools
import json
import pathlib
import zlib

import jax
import numpy as np

from benchmarks.studies.measures import features
from benchmarks.studies.measures.measures import distances, measure
from benchmarks.studies.measures.reference import make_reference
from benchmarks.studies.pages.tqd import write_page
from benchmarks.studies.training.arms import ARMS, plan
from benchmarks.studies.training.build import SIZE_RULES, build, check_size
from benchmarks.studies.training.jobs import KEPT, finite, golden_loss, run_all
from benchmarks.studies.training.rows import Row, Stopped
from transfer_jax.runtime.config import Each, choice, integer, optional, sequence, text, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import machine_line
from transfer_jax.runtime.progress import Progress, StopRequest

VERSION = 1  # raise it when clips, arms, training or measures change: what a folder keeps is of one version
REGIMES = ('finetune', 'scratch')
BASE = 'A uniform'  # what is pre-trained
FOLLOWED = 'C uniform'  # measured on the way: whether training was long enough
RULES = {'study': choice('table'), 'size': text(), 'regimes': sequence(choice(*REGIMES)), 'arms': optional(sequence(choice(*ARMS))),
         'seeds': sequence(integer(at_least=0)), 'results': text(), 'sizes': Each(SIZE_RULES)}


def main(config, workdir, devices=None, asked=None):
    """Runs the study that the config asks for; writes tqd_SIZE.json, pictures and tqd.md into config.results.

    devices: all by default. asked: {key: value} of the config that were given, for the page.
    """
    check(config)
    size = config.sizes[config.size]
    study = build(size, folder(config, workdir), devices=devices)
    evaluate = evaluator(study)
    arms, clips = list(config.arms or ARMS), truth(study, evaluate)
    try:
        with StopRequest() as stop:
            train(study, arms, config.regimes, config.seeds, evaluate, stop)
    except Stopped:
        print('stopped and saved; the same command goes on from there')
        return
    results = {'size': config.size, 'asked': asked or {}, 'config': to_json(size), 'machine': machine_line(), 'truth': clips,
               'start': start(study),
               **described(study.clips), **collect(study, arms, config.regimes, config.seeds)}
    print(f'page: {write_page(pathlib.Path(config.results), results, samples(study, results))}')


def check(config, distinct=('arms', 'seeds', 'regimes')):
    """Raises UserError where the config's values do not fit each other; distinct: keys whose values are all different."""
    if config.size not in config.sizes:
        raise UserError(f'config.size = {config.size!r}; allowed: one of {", ".join(config.sizes)}')
    for key in distinct:
        if len(set(config[key] or ())) < len(config[key] or ()):
            raise UserError(f'config.{key} = {tuple(config[key])} names one twice')
    check_size(config.size, config.sizes[config.size])


def folder(config, workdir):
    """Where a size's jobs live: another one for every change of its numbers or of VERSION, so that runs that differ never mix."""
    numbers = {key: value for key, value in to_json(config.sizes[config.size]).items() if key != 'lanes'}
    numbers = json.dumps({**numbers, 'version': [VERSION, features.VERSION]}, sort_keys=True)
    return pathlib.Path(workdir) / f'{config.size}-{zlib.crc32(numbers.encode()):08x}'


def plan_rows(arms, regimes, seeds):
    """The calls of run_all, in order: lists of Rows. Plans are numbered as in `arms`, the pre-training's comes after them."""
    calls = [[Row(regime='pretrain', arm=BASE, plan=len(arms), seed=seed, follow=True) for seed in seeds]] if 'finetune' in regimes else []
    for regime in regimes:
        rows = [Row(regime=regime, arm=arm, plan=arms.index(arm), seed=seed, follow=arm == FOLLOWED) for seed in seeds for arm in arms]
        calls += [[row for row in rows if row.follow], [row for row in rows if not row.follow]]
    return [rows for rows in calls if rows]


def train(study, arms, regimes, seeds, evaluate, stop):
    """All runs of the arms, and the pre-training that fine-tuning needs."""
    material = study.material([plan(ARMS[arm], study.clips) for arm in [*arms, BASE]])
    run_calls(study, plan_rows(arms, regimes, seeds), material, evaluate, stop)


def run_calls(study, calls, material, evaluate, stop):
    """run_all of every list of Rows in turn, with one bar over their steps."""
    rows = [row for call in calls for row in call]
    steps = lambda rows: sum(study.size[row.regime] for row in rows)
    done = steps([row for row in rows if study.store.record(row.name) is not None])
    with Progress(steps(rows), start=done, label='study', unit='run-step') as progress:
        for call in calls:
            run_all(study, call, material, evaluate, stop, progress)


def evaluator(study):
    """evaluate(frames, clips=held-out ones) -> {measure: number}: means over the samples of captions, and distances of the set."""
    reference = make_reference(study.world)

    def evaluate(frames, clips=study.held_out):
        found = measure(frames, clips.captions[:len(frames)], reference)
        far = distances(frames, found, reference)
        return {name: float(np.mean(values)) for name, values in found.items()} | {'frechet': far['frechet'], 'speeds': far['speed']}
    return evaluate


def truth(study, evaluate):
    """What clips themselves measure, as many as there are samples of a run: golden ones of another seed, and the library's kinds."""
    count, clips = study.size.samples, study.clips
    kinds = {kind: clips.take(np.flatnonzero(getattr(clips, kind))[:count]) for kind in ('golden', 'motion_only', 'visual_only', 'poor')}
    few = [f'{len(own)} {kind}' for kind, own in kinds.items() if len(own) < 2]
    if few:
        raise UserError(f'the library has {" and ".join(few)} of {len(clips)} clips: give this size more (config.sizes.NAME.clips)')
    groups = {'true golden clips': study.held_out, **{f'library, {kind}': own for kind, own in kinds.items()},
              'library, all': clips.take(np.arange(min(count, len(clips))))}
    return {name: finite(evaluate(own.frames[:count], own)) for name, own in groups.items()}


def start(study):
    """Loss on golden clips by noise before any step: that of the best linear guess of patches, to which the network adds nothing yet."""
    runs = study.runs([0] * len(study.devices), ['start'] * len(study.devices))
    return golden_loss(study, study.trainer.init(runs.seed))[0].tolist()


def collect(study, arms, regimes, seeds):
    """{'arms', 'regimes', 'seeds', 'runs': the record of every run}."""
    rows = [row for call in plan_rows(arms, regimes, seeds) for row in call]
    return {'arms': {arm: _described(ARMS[arm]) for arm in arms}, 'regimes': list(regimes), 'seeds': list(seeds),
            'runs': [study.store.record(row.name) for row in rows]}


def samples(study, results):
    """{(regime, arm): uint8 [KEPT, F, H, W, 3]} of the first seed, for the sheet of samples."""
    shape = (min(KEPT, study.size.samples), study.size.frames, study.size.size, study.size.size, 3)
    load = functools.partial(study.store.load, abstract={'samples': jax.ShapeDtypeStruct(shape, np.uint8)})
    first = [Row(**{field.name: run[field.name] for field in dataclasses.fields(Row)}) for run in results['runs']
             if run['seed'] == results['seeds'][0] and run['regime'] != 'pretrain']
    return {(row.regime, row.arm): load(row.name)['samples'] for row in first}


def described(clips):
    """The shares of the library's kinds, and the correlation of motion and look."""
    shares = {kind: float(np.mean(getattr(clips, kind))) for kind in ('golden', 'motion_only', 'visual_only', 'poor')}
    return {'library': shares, 'correlation': float(np.corrcoef(clips.mq, clips.vq)[0, 1])}


def _described(arm):
    law = dataclasses.asdict(arm.law)
    return {'members': arm.members, 'dropout': arm.dropout, 'reversed': arm.reversed,
            'law': {key: law[key] for key in ('kind', 'kappa_base', 'kappa_max', 'min_parameter', 'offset', 'strength')}}
