"""Study 3: arms whose laws come from a model's gradients (tqd_jax.gradients.probe) beside those set by hand, same steps, same seeds."""
import dataclasses
import itertools
import json
import pathlib
import shutil
import zlib

import numpy as np

from benchmarks.studies.claims import tqd as table
from benchmarks.studies.claims.evaluation import describe_library, make_evaluator
from benchmarks.studies.config import WORLDS
from benchmarks.studies.pages.learned import write_page
from benchmarks.studies.training.arms import ARMS, plan
from benchmarks.studies.training.build import build
from benchmarks.studies.training.groups import clip_groups, learned_plan
from benchmarks.studies.training.rows import Row
from benchmarks.studies.training.weights import load_weights, saved_step
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.library import library
from benchmarks.studies.world.world import TARGET
from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import init_frozen
from tqd_jax.gradients.probe import probe_chunks, probe_products
from tqd_jax.gradients.shares import quantities, shares, shares_error
from tqd_jax.timesteps.law import BINS
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.job import machine_line, print_stop
from transfer_jax.runtime.progress import Stopped, StopRequest
from transfer_jax.runtime.store import Store

# of how laws are learned and stored; with another one they are learned anew. 2 named groups otherwise, 1 had one set of clips for all seeds
VERSION = 3
APART = 10_000  # between worlds of targets, whose seeds must be no other clips' (benchmarks/studies/world/world.py)
LEARNED = {'learned': 'gram', 'learned, plug-in': 'plug_in'}  # arms, and which Gram matrix their law is solved from


def main(config, workdir, devices=None, flags=None):
    """Runs the study that the config asks for; writes learned_SIZE_WORLD.json, pictures and learned_law.md into config.results.

    devices: all by default. flags: {key: value} of the config that the command line named, for the page.
    """
    check(config)
    size = config.sizes[config.size]
    study = study_in_world(build(size, table.folder(config, workdir), devices=devices), config.world, table.folder(config, workdir))
    check_groups(study.clips, config)
    evaluate = make_evaluator(study)
    try:
        with StopRequest() as stop:
            table.train(study, [], ('finetune',), config.seeds, evaluate, stop)  # the pre-training alone
            laws = [learned_law(study, config, seed, stop) for seed in config.seeds]
            runs = train(study, config, laws, evaluate, stop)
    except Stopped:
        print_stop()
        return
    results = {'size': config.size, 'flags': flags or {}, 'world': config.world, 'config': to_json(size), 'settings': _settings(config),
               'laws': laws, 'runs': runs, 'machine': machine_line(), 'arms': {arm: {} for arm in (*config.arms, *LEARNED)},
               'regimes': list(config.regimes), 'seeds': list(config.seeds), **describe_library(study.clips)}
    print(f'page: {write_page(pathlib.Path(config.results), results)}')


def check(config):
    """Raises UserError where the config's values do not fit each other."""
    table.check(config)
    if all(arm.startswith('C ') for arm in config.arms):
        raise UserError(f'config.arms = {tuple(config.arms)} has no arm on all clips or on imbalanced ones, to compare a learned law with')
    if config.chunks % 2:
        raise UserError(f'config.chunks = {config.chunks} is odd, and they are cut into two folds')
    if BINS % config.bins:
        raise UserError(f'config.bins = {config.bins} does not divide {BINS}, the bins of a tabulated law')


def check_groups(clips, config):
    """Raises UserError where a group of the library's clips is too small for the chunks: hours before the gradients would."""
    names, labels = clip_groups(clips, config.chunks * config.chunk)
    smallest = int(np.argmin(np.bincount(labels)))
    if np.bincount(labels)[smallest] < config.chunks * config.chunk:
        raise UserError(f'the library has {np.bincount(labels)[smallest]} clips of the group {names[smallest]}, fewer than config.chunks x '
                        f'config.chunk = {config.chunks} x {config.chunk}: lower one of them, or take more clips')


def study_in_world(study, world, folder):
    """The Study in the world of that name; its clips and jobs are its own, but for 'detail', which has those of study 1."""
    if world == 'detail':
        return study
    other = dataclasses.replace(study.world, degradations=WORLDS[world])
    return dataclasses.replace(study, world=other, clips=library(other, folder / 'clips'), store=Store(folder / f'jobs-{world}'))


def learned_law(study, config, seed, stop):
    """The record of one seed's law, saved: groups, counts [K], rho [B], gram [B, K, K], error [B, K] of its shares, step; and shares,
    a dict of q [B, K] from 'gram' and from 'plug_in'. Clips, noise and target are the seed's own, as the weights are. Raises Stopped."""
    name = f'laws/{_key(config):08x}/seed{seed}'
    if study.store.record(name) is None:
        step = saved_step(study.size, config.probe)
        names, labels = clip_groups(study.clips, config.chunks * config.chunk)
        counts = np.bincount(labels)
        bins = Store(study.store.directory / f'{name}.bins')
        result = probe(study, config, load_weights(study, seed, step), labels, seed, bins)
        q = {key: shares(getattr(result, key), result.rho, counts).tolist() for key in LEARNED.values()}
        study.store.save(name, None, {'groups': names, 'counts': counts.tolist(), 'rho': result.rho.tolist(), 'gram': result.gram.tolist(),
                                      'shares': q, 'error': shares_error(result, counts).tolist(), 'step': step})
        shutil.rmtree(bins.directory, ignore_errors=True)
    if stop.requested:
        raise Stopped
    return study.store.record(name)


def probe(study, config, params, labels, seed, bins):
    """The Quantities of the library's groups at weights params; bins: the Store of its noise bins."""
    target = golden_clips(dataclasses.replace(study.world, seed=TARGET + APART * seed), config.chunks * config.chunk)
    groups = [np.flatnonzero(labels == group) for group in range(labels.max() + 1)]
    chunks = probe_chunks([len(labels) + np.arange(len(target)), *groups], config.chunks, config.chunk, seed)
    frames, tokens = (np.concatenate([getattr(clips, key) for clips in (study.clips, target)]) for key in ('frames', 'tokens'))
    products = probe_products(study.objective, params, init_frozen(study.objective, {}), uniform_batch(frames, tokens), chunks,
                              config.bins, bins)
    return quantities(*products, config.chunk)


def train(study, config, laws, evaluate, stop):
    """Records of the arms set by hand and of the learned ones, whose plan is another one for every seed; arms are named as in LEARNED."""
    hand = [plan(ARMS[arm], study.clips) for arm in config.arms]
    names, labels = clip_groups(study.clips, config.chunks * config.chunk)
    plans = hand + [learned_plan(np.array(law['shares'][key]), names, labels) for key in LEARNED.values() for law in laws]
    rows = {}
    for regime in config.regimes:
        for place, seed in enumerate(config.seeds):
            for index, arm in enumerate(config.arms):
                rows[regime, arm, seed] = Row(regime=regime, arm=arm, plan=index, seed=seed, follow=arm == table.CURVE_ARM)
            for index, arm in enumerate(LEARNED):
                own = len(hand) + index * len(laws) + place
                rows[regime, arm, seed] = Row(regime=regime, arm=f'{arm} {_key(config):08x}', plan=own, seed=seed)
    pairs = itertools.product(config.regimes, (True, False))
    calls = [[row for row in rows.values() if (row.regime, row.follow) == pair] for pair in pairs]
    table.run_calls(study, calls, study.material(plans), evaluate, stop)
    return [study.store.record(row.name) | {'arm': arm} for (_, arm, _), row in rows.items()]


def _settings(config):
    return {key: to_json(config)[key] for key in ('probe', 'chunks', 'chunk', 'bins')}


def _key(config):
    return zlib.crc32(json.dumps([VERSION, _settings(config)]).encode())
