"""What a run went on with that is not as it began: changes.jsonl in its folder, and what its learning rate then does."""
import json
import types

from tqd_jax.config import fixed_keys
from tqd_jax.training.optimizer import make_schedule
from transfer_jax.runtime.config import allowed_keys, differences
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.metrics import read_metrics

FILE = 'changes.jsonl'
RATE = ('train.learning_rate', 'train.schedule', 'train.warmup', 'train.steps')


def read_changes(workdir):
    """The records {'step', 'clips': {kind: how many}, 'summary', 'config': ['key: old -> new', ...]} of a folder, oldest first."""
    return read_metrics(workdir / FILE)


def config_changes(config, extras):
    """['key: old -> new', ...]: what differs from a checkpoint's config, of the keys that change the numbers."""
    keys = {*allowed_keys(type(config)), *fixed_keys(config)}
    changed = ((line, line.split(':')[0]) for line in differences(extras['config'], config))
    return [line for line, name in changed if any(name == key or name.startswith(f'{key}.') for key in keys)]


def record_changes(run, step, extras, counts, summary):
    """Adds what differs from a checkpoint of a step to changes.jsonl, and says what the learning rate does; nothing where nothing differs.

    counts, summary: of the clips. A start that was killed before it saved has its record there already.
    """
    config = config_changes(run.config, extras)
    if not counts and not config and extras['library'] != run.fingerprint:
        summary = 'what the batches depend on beside clips and config'
    records = read_changes(run.workdir)
    new = {'step': step, 'clips': counts, 'summary': summary, 'config': config}
    if not (summary or config) or any(covers(record, new) for record in records):
        return
    write_atomically(run.workdir / FILE, ''.join(f'{json.dumps(record)}\n' for record in [*records, new]).encode())
    print(f'from step {step} on: {"; ".join(part for part in (summary, *config) if part)} (recorded in {run.workdir / FILE})', flush=True)
    if any(line.split(':')[0] in RATE for line in config):
        print(rate_line(run.config, step, extras), flush=True)


def covers(record, new):
    """Whether a record says already what a new one of the same step does."""
    return record['step'] == new['step'] and record['config'] == new['config'] and (not new['clips'] or record['clips'] == new['clips'])


def rate_line(config, step, extras):
    """How the learning rate goes on from a step."""
    before, after = (float(make_schedule(train)(step)) for train in (types.SimpleNamespace(**extras['config']['train']), config.train))
    return f'learning rate at step {step}: {after:.3g}, before {before:.3g}; the schedule counts steps from the beginning of the run, so ' \
           'there is no second warm-up'
