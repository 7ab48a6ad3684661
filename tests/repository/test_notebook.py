"""The quickstart notebooks run from top to bottom, the video one shrunk, and show their pictures."""
import pathlib

import nbclient
import nbformat
import pytest
import quick
import tiny_runs

ROOT = pathlib.Path(__file__).parents[2]


SHRUNK = {key: value for key, value in tiny_runs.SMALL.items() if key not in ('train.steps', 'eval.every')}
AFTER = f'from transfer_jax.runtime.config import override; config = override(config, {SHRUNK})'  # what make demo runs as it is


def executed(name, before='', then=''):
    """The notebook after a run, and how many pictures it shows; then: code that runs after the cell that contains `before`."""
    notebook = nbformat.read(ROOT / 'colab' / name, as_version=4)
    for cell in [cell for cell in notebook.cells if then and before in cell.source]:
        cell.source += f'\n{then}'
    nbclient.NotebookClient(notebook, timeout=400, resources={'metadata': {'path': str(ROOT / 'colab')}}).execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs]
    return notebook, sum('image/png' in out.get('data', {}) for out in outputs)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of the kernel's own machinery, not of the notebook
def test_the_quickstart_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('TQD_STEPS', '2')
    monkeypatch.setenv('TQD_WORKDIR', str(tmp_path / 'run'))
    monkeypatch.setenv('XLA_FLAGS', quick.XLA_FLAGS)
    assert executed('tqd_quickstart.ipynb', 'config = instance(Config, values)', AFTER)[1] == 4
    assert (tmp_path / 'run/samples/sheet.png').exists()


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_the_transfer_quickstart_runs(tmp_path, monkeypatch):
    """And its weights beat the target alone and all sources on held-out data; the job at its end leaves a report."""
    monkeypatch.setenv('XLA_FLAGS', quick.XLA_FLAGS)
    monkeypatch.setenv('TRANSFER_WORKDIR', str(tmp_path / 'run'))
    monkeypatch.setenv('TRANSFER_ARGS', '--config.seeds=2 --config.data.max_per_domain=200 --config.train.min_steps=20 '
                       """"--config.targets=('scan',)" "--config.transfer.methods=('target_only','all_sources','wadn')" """)
    notebook, pictures = executed('transfer_quickstart.ipynb')
    assert pictures == 3 and (tmp_path / 'run/report.html').exists()
    printed = ''.join(out.get('text', '') for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs)
    loss = {line.split('  ')[0]: float(line.split(' +- ')[0].split()[-1]) for line in printed.splitlines() if line.count(' +- ') == 2}
    rows = [line.split()[0] for line in printed.splitlines() if ' ± ' in line and ' on the ' not in line]
    assert rows == ['target_only', 'all_sources', 'wadn']
    assert loss['UOWQ, halves'] < min(loss['target only'], loss['all sources'])


def test_the_page_shows_what_the_notebook_runs():
    page = (ROOT / 'docs/transfer.md').read_text().split('```python\n')[1].split('```')[0].strip()
    cells = nbformat.read(ROOT / 'colab/transfer_quickstart.ipynb', as_version=4).cells
    assert any(page in cell.source for cell in cells)


@pytest.mark.parametrize('name', ['tqd_quickstart.ipynb', 'transfer_quickstart.ipynb', 'wan_lora.ipynb'])
def test_the_notebook_is_kept_without_outputs(name):
    notebook = nbformat.read(ROOT / 'colab' / name, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == 'code')
