"""The quickstart notebook runs from top to bottom, at few steps, and shows its pictures."""
import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of the kernel's own machinery, not of the notebook
def test_the_quickstart_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('TQD_STEPS', '2')
    monkeypatch.setenv('TQD_WORKDIR', str(tmp_path / 'run'))
    monkeypatch.setenv('XLA_FLAGS', '')
    notebook = nbformat.read(ROOT / 'colab/tqd_quickstart.ipynb', as_version=4)
    nbclient.NotebookClient(notebook, timeout=400, resources={'metadata': {'path': str(ROOT / 'colab')}}).execute()
    pictures = [out for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs if 'image/png' in out.get('data', {})]
    assert len(pictures) == 4
    assert (tmp_path / 'run/samples/sheet.png').exists()


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(ROOT / 'colab/tqd_quickstart.ipynb', as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == 'code')
