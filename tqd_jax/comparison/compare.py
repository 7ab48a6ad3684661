"""A trained run compared with the same run by another law: that one trained, and samples of both from the same noise."""
import json

import jax

from tqd_jax.comparison.second import RECORD, second_run
from tqd_jax.training.evaluation import motion_and_visual
from tqd_jax.training.loop import train
from tqd_jax.training.sampling.generate import generate
from tqd_jax.training.sampling.samples import write_videos
from tqd_jax.training.weights import fresh_state
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.paths import make_folder

OWN = 'samples.json'


def compare(run, steps):
    """Trains the second run of config.compare to `steps`, and writes its samples, those of the weights before training, and their record.

    run: trained to as many steps, its samples drawn as config.sample says. Returns the step at which a request stopped the training, or
    None where all is done; a stop while it draws raises Stopped. Started again at any moment it ends with the same files. Every process
    calls it.
    """
    second = second_run(run, steps)
    if jax.process_index() == 0:
        print(f'second run, by the {run.config.compare} law, to compare with: {steps} steps in {second.folder}', flush=True)
    first_host(_keep_own, run, second)
    state, frozen, stopped = train(second, examines=False)
    if stopped:
        return int(state.step)
    after, captions = generate(second, state.average, frozen, run.config.compare)
    del state  # the start's weights take its place
    before, _ = generate(second, fresh_state(second).average, frozen, 'before training')
    first_host(_write, run, second, steps, captions, {'second': after, 'start': before})
    return None


def _keep_own(run, second):
    """samples/run/: a copy of the run's own samples and their measures, since --mode=sample may draw others in the meantime."""
    folder = second.folder / 'samples' / 'run'
    make_folder(folder)
    record = (run.folder / OWN).read_bytes()
    for number in range(len(json.loads(record)['captions'])):
        name = f'{number:02d}.mp4'
        write_atomically(folder / name, (run.folder / 'samples' / name).read_bytes())
    write_atomically(folder / OWN, record)


def _write(run, second, steps, captions, drawn):
    """samples/start/, samples/second/ and, last, comparison.json."""
    fps, folder = run.config.data.fps, second.folder / 'samples'
    for name, clips in drawn.items():
        write_videos(folder / name, clips, fps)
    own = json.loads((folder / 'run' / OWN).read_text(encoding='utf-8'))
    record = {'law': run.config.law.kind, 'against': run.config.compare, 'steps': steps, 'dropout': run.config.data.dropout,
              'expert': run.foundation.expert, 'captions': captions, 'run': own['samples'], 'data': own['data'],
              **{name: motion_and_visual(clips, fps) for name, clips in drawn.items()}}
    write_atomically(second.folder / RECORD, json.dumps(record, allow_nan=False).encode())
