"""Wan 2.2 TI2V 5B by LoRA, as a model of text to video.

    python -m tqd_jax.encode --config=configs/wan22_ti2v_5b.py --config.wan.path=Wan2.2-TI2V-5B --config.data.clips=FOLDER --output=CACHE
    python -m tqd_jax.main   --config=configs/wan22_ti2v_5b.py --config.wan.path=Wan2.2-TI2V-5B --config.data.cache=CACHE --workdir=runs/5b

Machine: 10 GB of frozen weights in bfloat16 beside the activations of one clip: an accelerator of 32 GB or more, or several over
mesh.fsdp. Not run here. Its VAE has 48 channels and folds 16 x 16 pixels, so widths and heights are multiples of 32. Every token has a t
of its own in this model; for text to video all of them are the same.

Expected: runs/5b/lora.safetensors and report.html.
"""
from tqd_jax.config.wan_defaults import wan_defaults


def get_config():
    """As configs/wan.py, at 1280 x 704 and 24 frames a second."""
    config = wan_defaults('wan_ti2v_5b')
    config.data.fps = 24
    config.data.buckets = ((1280, 704, 121),)
    config.law.shift = 5.0
    return config
