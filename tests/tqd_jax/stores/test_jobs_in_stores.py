"""Jobs whose folder is in an object store, on machines that share nothing else: the same bits as in a local folder."""
import numpy as np
import pytest
import score_job
import small
import stores
import transfer_job
import wan_runs
import wan_small

from tqd_jax import export
from tqd_jax.data.prepare import STORE
from tqd_jax.scoring.store import RowStore, local_store, merge_shares, share_of
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.metrics import Metrics, read_metrics
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.saves.checkpoint import Checkpoints

pytestmark = pytest.mark.filterwarnings('ignore:Sending a large body directly:ResourceWarning')  # aiohttp, of a megabyte
LEFT = {'config.json', 'scores.parquet', 'scores.store', 'normaliser.json', 'skipped.jsonl', 'metrics.jsonl', 'evaluation.jsonl',
        'drawn.npz', 'weights.npz', 'samples.json', 'samples/00.mp4', 'samples/sheet.png', 'summary.json', 'report.html',
        'library/manifest.parquet',
        'checkpoints/8/commit_success.txt'}


class Killed(Exception):
    """The process is gone."""


@pytest.mark.long
def test_a_run_goes_on_elsewhere_and_ends_as_a_local_one(tmp_path, monkeypatch, capsys):
    url, write = stores.gs_folder(), Metrics.write

    def killed(metrics, step, scalars):
        write(metrics, step, scalars)
        if step == 6:
            raise Killed
    stores.machine(monkeypatch, tmp_path / 'first')
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Metrics, 'write', killed)
        small.run(url)
    assert Checkpoints(f'{url}/checkpoints').steps() == [4] and 'report.html' not in stores.objects(url)
    stores.machine(monkeypatch, tmp_path / 'second')
    small.run(url)
    assert 'resuming from step 4' in capsys.readouterr().out and set(stores.objects(url)) >= LEFT
    small.run(tmp_path / 'local')
    (step, found), (wanted_step, wanted) = small.saved(url), small.saved(tmp_path / 'local')
    assert step == wanted_step == 8 and found.keys() == wanted.keys()
    assert not [name for name in found if not np.array_equal(found[name], wanted[name])]
    steps = lambda folder: [(line['step'], line.get('loss')) for line in read_metrics(path_of(folder) / 'metrics.jsonl')]
    assert steps(url) == steps(tmp_path / 'local')
    same = [name for name in ('evaluation.jsonl', 'weights.npz', 'samples/00.mp4', 'scores.parquet', 'normaliser.json')
            if (path_of(url) / name).read_bytes() == (tmp_path / 'local' / name).read_bytes()]
    assert same == ['evaluation.jsonl', 'weights.npz', 'samples/00.mp4', 'normaliser.json']  # the table has whole paths there
    stores.machine(monkeypatch, tmp_path / 'third')
    small.run(url)
    assert f'{url} holds a finished run of 8 steps' in capsys.readouterr().out
    assert not list((tmp_path / 'first/here').iterdir()) and not list((tmp_path / 'second/here').iterdir())


@pytest.mark.long
def test_a_cache_is_encoded_there_and_trained_on_elsewhere(tmp_path, monkeypatch, capsys):
    given = {'wan.path': wan_small.write_folder(tmp_path / 'wan'), 'data.held_out_fraction': 0.0}
    clips, url = wan_runs.clips(tmp_path / 'clips'), stores.gs_folder()
    stores.machine(monkeypatch, tmp_path / 'first')
    wan_runs.encoded(url, **given, **{'data.clips': clips})
    wan_runs.encoded(tmp_path / 'cache', **given, **{'data.clips': clips})
    stores.machine(monkeypatch, tmp_path / 'second')
    assert wan_runs.records(url) == wan_runs.records(tmp_path / 'cache')
    wan_runs.run(f'{url}/lora', **given, **{'data.cache': url})
    wan_runs.run(tmp_path / 'lora', **given, **{'data.cache': tmp_path / 'cache'})
    assert (path_of(url) / 'lora/lora.safetensors').read_bytes() == (tmp_path / 'lora/lora.safetensors').read_bytes()
    export.export(f'{url}/lora', format='diffusers', output=str(tmp_path / 'out'))
    assert [path.suffix for path in (tmp_path / 'out').iterdir()] == ['.safetensors']
    capsys.readouterr()
    wan_runs.encoded(url, **given, **{'data.clips': clips})
    assert '0 encoded' in (out := capsys.readouterr().out) or 'latents:' not in out


def test_a_table_is_scored_there_and_nothing_is_measured_twice(tmp_path, monkeypatch):
    clips, url = small.moving(tmp_path / 'clips', score_job.NAMES[:3]), stores.gs_folder()
    stores.machine(monkeypatch, tmp_path / 'first')
    score_job.run(f'{url}/scores.parquet', clips=str(clips), report=True)
    assert stores.objects(url) == ['normaliser.json', 'quality.html', 'scores.parquet', 'scores.parquet.store']
    measured = score_job.measured_paths(monkeypatch)
    stores.machine(monkeypatch, tmp_path / 'second')
    score_job.run(f'{url}/scores.parquet', clips=str(clips))
    assert not measured


def test_shares_of_a_store_are_merged_there():
    url = f'{stores.gs_folder()}/{STORE}'
    for process in range(2):
        with local_store(share_of(url, process)) as share, RowStore(share, 'v') as store:
            store.add(f'{process}.mp4', 'stamp', {'id': f'{process}', 'motion': 0.5})
    assert stores.objects(url.rpartition('/')[0]) == [f'{STORE}.share-0', f'{STORE}.share-1']
    merge_shares(url)
    merge_shares(url)
    assert stores.objects(url.rpartition('/')[0]) == [STORE]
    with local_store(url) as local, RowStore(local, 'v') as store:
        assert [store.row(f'{process}.mp4', 'stamp')['motion'] for process in range(2)] == [0.5, 0.5]


def test_a_transfer_run_is_the_same_there(tmp_path, monkeypatch):
    np.savez(tmp_path / 'domains.npz', **transfer_job.table())
    changes = {'data.path': tmp_path / 'domains.npz', 'transfer.methods': "('target_only', 'uowq')"}
    url = stores.gs_folder()
    stores.machine(monkeypatch, tmp_path / 'first')
    there, here = transfer_job.run(url, **changes), transfer_job.run(tmp_path / 'local', **changes)
    assert there['summary'].keys() == here['summary'].keys()
    assert all(there['summary'][name]['average'] == here['summary'][name]['average'] for name in here['summary'])
    assert not list((tmp_path / 'first/here').iterdir())


def test_several_processes_at_s3_are_refused_at_the_start(monkeypatch):
    monkeypatch.setattr('jax.process_count', lambda: 2)
    from tqd_jax.main import train_mode
    with pytest.raises(UserError, match=r'^s3://bucket/run: several processes save their checkpoints to gs:// or to a disk that all see'):
        train_mode(None, path_of('s3://bucket/run'))
