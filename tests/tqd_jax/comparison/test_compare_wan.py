"""The second run of a comparison on published weights: by the same cache, and the run that its law would have been alone."""
import json
from unittest import mock

import pyarrow as pa
import pyarrow.parquet
import pytest
import wan_runs
import wan_small

from tqd_jax.foundations import encode
from transfer_jax.runtime.errors import UserError

STEPS = wan_small.SMALL['train.steps']


@pytest.fixture(scope='module')
def compared(tmp_path_factory, compiled):
    """(work directory, what it was given, batches of latents encoded, batches of captions) of a LoRA run that was compared."""
    folder = tmp_path_factory.mktemp('given')
    given = {'wan.path': wan_small.write_folder(folder / 'wan'), 'data.clips': wan_runs.clips(folder / 'clips'),
             'data.held_out_fraction': 0.0}
    with (mock.patch.object(encode, 'encode_latents', side_effect=encode.encode_latents) as latents,
          mock.patch.object(encode, 'encode_texts', side_effect=encode.encode_texts) as texts):
        workdir = wan_runs.run(tmp_path_factory.mktemp('compared') / 'run', **given, compare='uniform')
    return workdir, given, latents.call_count, texts.call_count


def test_nothing_is_encoded_twice_and_both_are_shown(compared):
    workdir, _, latents, texts = compared
    second = workdir / 'compare/uniform'
    assert latents == texts == 1 and not (second / 'cache').exists()
    record, own = json.loads((second / 'comparison.json').read_text()), json.loads((workdir / 'samples.json').read_text())
    assert record['steps'] == STEPS and record['run'] == own['samples'] and record['captions'] == own['captions']
    assert 'aria-label="before training, uniform, TQD: ' in (workdir / 'report.html').read_text()


def test_it_is_the_run_that_the_law_would_have_been_alone(compared, tmp_path):
    workdir, given, *_ = compared
    given = {**given, 'data.cache': workdir / 'cache'}
    alone = wan_runs.run(tmp_path / 'run', **given, **{'law.kind': 'uniform'})
    with mock.patch.object(wan_runs, 'path_of', lambda path: path / 'compare/uniform'):
        step, found = wan_runs.saved(workdir, **given)
    wanted_step, wanted = wan_runs.saved(alone, **given, **{'law.kind': 'uniform'})
    assert step == wanted_step == STEPS and not wan_runs.different(found, wanted)
    names = [path.name for path in (alone / 'samples').glob('*.mp4')]
    assert names and all((workdir / 'compare/uniform/samples/second' / name).read_bytes() == (alone / 'samples' / name).read_bytes()
                         for name in names)


def test_an_expert_that_the_other_law_leaves_no_clip_is_refused_before_anything_is_trained(tmp_path):
    manifest = wan_runs.clips(tmp_path / 'clips')
    rows = [{**row, 'mq': 0.0, 'vq': 1.0} for row in pa.parquet.read_table(manifest).to_pylist()]  # by TQD all of them teach at clean t
    pa.parquet.write_table(pa.Table.from_pylist(rows), manifest)
    given = {'wan.path': wan_small.write_folder(tmp_path / 'wan', experts=('high', 'low')), 'wan.expert': 'high', 'data.clips': manifest,
             'law.kind': 'uniform', 'compare': 'beta'}
    with pytest.raises(UserError, match=r"config\.compare = 'beta', .*wan\.expert = 'high' can draw none of 12 clips"):
        wan_runs.run(tmp_path / 'run', **given)
    assert not (tmp_path / 'run/checkpoints').exists()
