"""Study 1: every arm on every seed in both regimes, measured against the truth; a stopped study goes on where it was."""
import dataclasses
import functools
import json
import pathlib
import zlib

import jax
import numpy as np

from benchmarks.studies.claims.evaluation import describe_library, make_evaluator, measure_clips, start_loss
from benchmarks.studies.measures import features
from benchmarks.studies.pages.tqd import write_page
from benchmarks.studies.training.arms import ARMS, plan
from benchmarks.studies.training.build import build, check_size
from benchmarks.studies.training.jobs import SAVED_SAMPLES, run_all
from benchmarks.studies.training.rows import Row
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.job import machine_line, print_stop
from transfer_jax.runtime.progress import Progress, Stopped, StopRequest

VERSION = 1  # raise it when clips, arms, training or measures change: a folder holds results of one version
PRETRAIN_ARM = 'A uniform'  # of the pre-training
CURVE_ARM = 'C uniform'  # its samples are measured on the way too: was training long enough?


def main(config, workdir, devices=None, flags=None):
    """Runs the study that the config asks for; writes tqd_SIZE.json, pictures and tqd.md into config.results.

    devices: all by default. flags: {key: value} of the config that the command line named, for the page.
    """
    check(config)
    size = config.sizes[config.size]
    study = build(size, folder(config, workdir), devices=devices)
    evaluate = make_evaluator(study)
    arms, clips = list(config.arms or ARMS), measure_clips(study, evaluate)
    try:
        with StopRequest() as stop:
            train(study, arms, config.regimes, config.seeds, evaluate, stop)
    except Stopped:
        print_stop()
        return
    results = {'size': config.size, 'flags': flags or {}, 'config': to_json(size), 'machine': machine_line(), 'truth': clips,
               'start': start_loss(study),
               **describe_library(study.clips), **collect(study, arms, config.regimes, config.seeds)}
    print(f'page: {write_page(pathlib.Path(config.results), results, load_samples(study, results))}')


def check(config, distinct=('arms', 'seeds', 'regimes')):
    """Raises UserError where the config's values do not fit each other; distinct: keys whose values are all different."""
    if config.size not in config.sizes:
        raise UserError(f'config.size = {config.size!r}; allowed: one of {", ".join(sorted(config.sizes))}')
    for key in distinct:
        values = getattr(config, key) or ()
        if len(set(values)) < len(values):
            raise UserError(f'config.{key} = {values} names one twice')
    check_size(config.size, config.sizes[config.size])


def folder(config, workdir):
    """Where a size's jobs live: another one for every change of its numbers or of VERSION, so that runs that differ never mix."""
    numbers = {key: value for key, value in to_json(config.sizes[config.size]).items() if key != 'replicas'}
    numbers = json.dumps({**numbers, 'version': [VERSION, features.VERSION]}, sort_keys=True)
    return pathlib.Path(workdir) / f'{config.size}-{zlib.crc32(numbers.encode()):08x}'


def plan_rows(arms, regimes, seeds):
    """The calls of run_all, in order: lists of Rows. Plans are numbered as in `arms`, the pre-training's comes after them."""
    pretrain = [Row(regime='pretrain', arm=PRETRAIN_ARM, plan=len(arms), seed=seed, follow=True) for seed in seeds]
    calls = [pretrain] if 'finetune' in regimes else []
    for regime in regimes:
        rows = [Row(regime=regime, arm=arm, plan=arms.index(arm), seed=seed, follow=arm == CURVE_ARM) for seed in seeds for arm in arms]
        calls += [[row for row in rows if row.follow], [row for row in rows if not row.follow]]
    return [rows for rows in calls if rows]


def train(study, arms, regimes, seeds, evaluate, stop):
    """All runs of the arms, and the pre-training that fine-tuning needs."""
    material = study.material([plan(ARMS[arm], study.clips) for arm in [*arms, PRETRAIN_ARM]])
    run_calls(study, plan_rows(arms, regimes, seeds), material, evaluate, stop)


def run_calls(study, calls, material, evaluate, stop):
    """run_all of every list of Rows in turn, with one bar over their steps."""
    rows = [row for call in calls for row in call]
    steps = lambda rows: sum(getattr(study.size, row.regime) for row in rows)
    done = steps([row for row in rows if study.store.record(row.name) is not None])
    with Progress(steps(rows), start=done, label='study', unit='run-step') as progress:
        for call in calls:
            run_all(study, call, material, evaluate, stop, progress)


def collect(study, arms, regimes, seeds):
    """{'arms', 'regimes', 'seeds', 'runs': the record of every run}."""
    rows = [row for call in plan_rows(arms, regimes, seeds) for row in call]
    return {'arms': {arm: _arm_settings(ARMS[arm]) for arm in arms}, 'regimes': list(regimes), 'seeds': list(seeds),
            'runs': [study.store.record(row.name) for row in rows]}


def load_samples(study, results):
    """{(regime, arm): uint8 [SAVED_SAMPLES, F, H, W, 3]} of the first seed, for the sheet of samples."""
    shape = (min(SAVED_SAMPLES, study.size.samples), study.size.frames, study.size.size, study.size.size, 3)
    load = functools.partial(study.store.load, abstract={'samples': jax.ShapeDtypeStruct(shape, np.uint8)})
    first = [Row(**{field.name: run[field.name] for field in dataclasses.fields(Row)}) for run in results['runs']
             if run['seed'] == results['seeds'][0] and run['regime'] != 'pretrain']
    return {(row.regime, row.arm): load(row.name)['samples'] for row in first}


def _arm_settings(arm):
    law = dataclasses.asdict(arm.law)
    return {'members': arm.members, 'dropout': arm.dropout, 'reversed': arm.reversed,
            'law': {key: law[key] for key in ('kind', 'kappa_base', 'kappa_max', 'min_parameter', 'offset', 'strength')}}
