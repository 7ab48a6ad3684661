"""Wan 2.1 T2V 14B by LoRA, over several accelerators.

    python -m tqd_jax.encode --config=configs/wan_14b.py --config.wan.path=Wan2.1-T2V-14B --config.data.clips=FOLDER --output=CACHE
    python -m tqd_jax.main   --config=configs/wan_14b.py --config.wan.path=Wan2.1-T2V-14B --config.data.cache=CACHE --workdir=runs/lora14

Machine: 29 GB of frozen weights in bfloat16, over the devices of mesh.fsdp, beside the activations of one clip a device. Not run here:
docs/wan.md says what was compiled. Expected: runs/lora14/lora.safetensors and report.html.
"""
from tqd_jax.config.wan_defaults import wan_defaults


def get_config():
    """As configs/wan.py, sharded over four devices."""
    config = wan_defaults('wan_14b')
    config.data.buckets = ((832, 480, 81),)
    config.law.shift = 5.0
    config.train.batch = 4
    config.mesh.fsdp = 4
    return config
