"""Wan 2.1 T2V 1.3B by LoRA, on your clips, with timestep-aware quality decoupling.

    python -m tqd_jax.encode --config=configs/wan.py --config.wan.path=Wan2.1-T2V-1.3B --config.data.clips=FOLDER --output=CACHE
    python -m tqd_jax.main   --config=configs/wan.py --config.wan.path=Wan2.1-T2V-1.3B --config.data.cache=CACHE --workdir=runs/lora
    python -m tqd_jax.export runs/lora --format=comfyui --output=lora.safetensors

The second command alone, with --config.data.clips=FOLDER in place of the cache, does the first step itself. wan.path is a folder of
diffusers or of Wan-AI, or a file of the transformer, with wan.vae, wan.text_encoder and wan.tokenizer beside it.

Machine: one accelerator of 16 GB or more in bfloat16; docs/wan.md has the memory that programs were compiled for, and says what has not
been run. Expected: runs/lora/lora.safetensors, samples beside the base model's from the same noise, and runs/lora/report.html.

Any key is overridden by --config.KEY=VALUE. All keys, with defaults and meanings: docs/configuration.md.
"""
from tqd_jax.config.wan_defaults import wan_defaults


def get_config():
    """LoRA of rank 32 at 832 x 480 x 81, by TQD's law on top of the model's flow shift."""
    config = wan_defaults('wan_1_3b')
    config.data.clips = None
    config.data.buckets = ((832, 480, 81),)
    config.law.kind = 'beta'                # fine-tuning: the paper's law
    config.law.shift = 3.0                  # what other trainers of Wan take at 480 lines; 5 at 720
    config.lora.rank = 32
    config.train.steps = 2000
    config.train.learning_rate = 1e-4
    return config
