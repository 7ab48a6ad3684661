"""Wan 2.1 T2V 1.3B, all parameters, on your clips, with timestep-aware quality decoupling.

    python -m tqd_jax.encode --config=configs/wan_full.py --config.wan.path=Wan2.1-T2V-1.3B --config.data.clips=FOLDER --output=CACHE
    python -m tqd_jax.main   --config=configs/wan_full.py --config.wan.path=Wan2.1-T2V-1.3B --config.data.cache=CACHE --workdir=runs/full
    python -m tqd_jax.export runs/full --format=diffusers --output=FOLDER

Machine: parameters, AdamW's state and the average are 23 GB in float32, over the devices of mesh.fsdp: four chips of 32 GB or more
(docs/wan.md). Expected: a transformer that diffusers and ComfyUI load, and runs/full/report.html.
"""
from tqd_jax.config.wan_defaults import wan_defaults


def get_config():
    """As configs/wan.py, with every parameter trained."""
    config = wan_defaults('wan_1_3b')
    config.data.buckets = ((832, 480, 81),)
    config.law.shift = 3.0
    config.train.trained = 'full'
    config.train.batch = 8
    config.train.learning_rate = 1e-5
    config.train.ema = 0.999
    config.mesh.fsdp = 4
    return config
