"""Study 2: gradients of golden clips against those of worse copies of the same clips, by noise bin, layer group and training step."""
import dataclasses
import json
import pathlib
import shutil
import zlib

import numpy as np

from benchmarks.studies.claims import tqd as table
from benchmarks.studies.claims.evaluation import make_evaluator
from benchmarks.studies.pages.alignment import write_page
from benchmarks.studies.training.build import build
from benchmarks.studies.training.weights import load_weights, saved_step
from benchmarks.studies.world.clips import golden_indices
from benchmarks.studies.world.degradations import DEGRADATIONS, DETAIL, degrade_visual
from benchmarks.studies.world.render import render_pristine, render_slow, scene
from benchmarks.studies.world.world import COMPARED, TEXT_LEN, VOCAB
from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import init_frozen
from tqd_jax.gradients.align import measure_alignment
from tqd_jax.gradients.products import copy_chunks
from tqd_jax.text.words import tokenize
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.job import machine_line, print_stop
from transfer_jax.runtime.progress import Stopped, StopRequest
from transfer_jax.runtime.store import Store

VERSION = 2  # of what a stored record holds: with another one it is measured anew. 1 named layers and the summary otherwise
COPIES = ('golden', 'slow', 'visual', *DEGRADATIONS)  # 'visual': one of DETAIL for every clip in turn, as in the library


def main(config, workdir, devices=None, flags=None):
    """Runs the study that the config asks for; writes alignment_SIZE.json, pictures and alignment.md into config.results.

    devices: all by default. flags: {key: value} of the config that the command line named, for the page.
    """
    check(config)
    size = config.sizes[config.size]
    study = build(size, table.folder(config, workdir), devices=devices)
    try:
        with StopRequest() as stop:
            table.train(study, [], ('finetune',), config.seeds, make_evaluator(study), stop)  # the pre-training alone
            moments = compare(study, config, stop)
    except Stopped:
        print_stop()
        return
    results = {'size': config.size, 'flags': flags or {}, 'config': to_json(size), 'settings': _settings(config), 'machine': machine_line(),
               'copies': list(COPIES), 'seeds': list(config.seeds), 'moments': moments}
    print(f'page: {write_page(pathlib.Path(config.results), results)}')


def check(config):
    """Raises UserError where the config's values do not fit each other."""
    table.check(config, distinct=('seeds', 'moments'))
    if config.clips % config.chunks:
        raise UserError(f'config.clips = {config.clips} is no multiple of config.chunks = {config.chunks}: chunks have as many clips each')


def steps_of(size, moments):
    """The steps of pre-training that the shares mean, in order."""
    return sorted({saved_step(size, share) for share in moments})


def compare(study, config, stop):
    """{step: the records of all seeds}: those of gradients.align at the averaged weights, each saved by itself. Raises Stopped."""
    copies, records = None, {}
    for step in steps_of(study.size, config.moments):
        for seed in config.seeds:
            name = _name(config, seed, step)
            if study.store.record(name) is None:
                copies = copies or worse_copies(study.world, config)
                params = load_weights(study, seed, step)
                chunks = copy_chunks(config.clips, len(COPIES), config.chunks, config.draws)
                print(f'gradients of seed {seed} at step {step}', flush=True)
                bins = Store(study.store.directory / f'{name}.bins')
                record = measure_alignment(study.objective, params, init_frozen(study.objective, {}), uniform_batch(*copies), chunks,
                                           config.bins, bins)
                study.store.save(name, None, record)
                shutil.rmtree(bins.directory, ignore_errors=True)
            records.setdefault(str(step), []).append(study.store.record(name))
            if stop.requested:
                raise Stopped
    return records


def _settings(config):
    return {key: getattr(config, key) for key in ('clips', 'chunks', 'bins', 'draws', 'severity', 'speed')}


def _name(config, seed, step):
    used = json.dumps([VERSION, COMPARED, *_settings(config).values()])
    return f'alignment/{zlib.crc32(used.encode()):08x}/seed{seed}/step{step}'


def worse_copies(world, config):
    """(frames uint8 [S N, F, H, W, 3], tokens [S N, L]): N golden clips, and copies of each in the order of COPIES, rendered anew.

    All copies are of the pristine clip, which a golden one equals but for a severity below 0.1.
    """
    world = dataclasses.replace(world, seed=COMPARED)
    rows = golden_indices(world, config.clips)
    clips, slow = (np.stack([render(index) for index in rows]) for render in (
        lambda index: render_pristine(world, index), lambda index: render_slow(world, index, config.speed)))
    degrade = lambda kind_of: np.stack([degrade_visual(clip, kind_of(place), config.severity, np.random.default_rng([COMPARED, place]))
                                        for place, clip in enumerate(clips)])
    visual = [degrade(lambda place: DETAIL[place % len(DETAIL)]), *(degrade(lambda place, kind=kind: kind) for kind in DEGRADATIONS)]
    tokens = np.stack([tokenize(scene(world, index).caption, TEXT_LEN, VOCAB) for index in rows])
    return np.concatenate([clips, slow, *visual]), np.tile(tokens, (len(COPIES), 1))
