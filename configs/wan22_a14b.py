"""Wan 2.2 T2V A14B by LoRA: one of its two experts, on the part of t that is its own.

    python -m tqd_jax.encode --config=configs/wan22_a14b.py --config.wan.path=Wan2.2-T2V-A14B --config.data.clips=FOLDER --output=CACHE
    python -m tqd_jax.main   --config=configs/wan22_a14b.py --config.wan.path=Wan2.2-T2V-A14B --config.data.cache=CACHE \
        --config.wan.expert=high --workdir=runs/high

The expert `high` has t of 0.875 and above, where motion is decided, `low` the rest: train each in a --workdir of its own. A clip is
drawn in proportion to the share of its law that lies in the expert's part. Samples use both experts, the other one as it was published.

Machine: 29 GB of frozen weights in bfloat16 for each expert, over the devices of mesh.fsdp. Not run here: docs/wan.md.

Expected: runs/high/lora.safetensors, an adapter of that expert alone, and report.html.
"""
from tqd_jax.config.wan_defaults import wan_defaults


def get_config():
    """As configs/wan.py, the expert for noisy t."""
    config = wan_defaults('wan_a14b')
    config.data.buckets = ((832, 480, 81),)
    config.wan.expert = 'high'
    config.law.shift = 5.0
    config.train.batch = 4
    config.mesh.fsdp = 4
    return config
