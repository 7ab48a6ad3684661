"""The notebook on published weights runs from top to bottom, on a tiny Wan of random weights."""
import shlex

import pytest
import quick
import safetensors.numpy
import small
import wan_small
from test_notebook import executed

KEYS = {**wan_small.SMALL, 'train.steps': 2, 'checkpoint.every': 2, 'eval.every': 2, 'lora.rank': 2, 'sample.clips': 1,
        'sample.guidance': 1.0, 'sample.solver': 'euler', 'sample.steps': 1}


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of the kernel's own machinery, not of the notebook
def test_the_notebook_on_wan_runs(tmp_path, monkeypatch):
    clips = small.moving(tmp_path / 'clips', ['a.mp4', 'b.mp4', 'c.mp4'])
    for name, value in {
            'WAN_WEIGHTS': wan_small.write_folder(tmp_path / 'weights'), 'WAN_CLIPS': clips, 'WAN_WORK': tmp_path / 'work',
            'WAN_ACCELERATOR': 'cpu', 'XLA_FLAGS': quick.XLA_FLAGS,
            'WAN_KEYS': shlex.join(f'--config.{key}={value}' for key, value in KEYS.items())}.items():
        monkeypatch.setenv(name, str(value))
    notebook, pictures = executed('wan_lora.ipynb')
    assert pictures == 3 and (tmp_path / 'work/run/report.html').exists()
    printed = ''.join(out.get('text', '') for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs)
    assert 'latents: 3 encoded' in printed and 'LoRA of step 2' in printed
    lora = safetensors.numpy.load_file(tmp_path / 'work/diffusers/pytorch_lora_weights.safetensors')
    assert lora['transformer.blocks.1.attn2.to_q.lora_B.weight'].any()
