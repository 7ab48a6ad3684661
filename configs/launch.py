"""Launch files of a job: which machines, where the project, the weights and the run lie, and the job's own command.

    python -m tqd_jax.launch --config=configs/launch.py --output=launch
    python -m tqd_jax.launch --config=configs/launch.py --output=launch --config.place=tpu_vm --config.chip=v5litepod-8

Machine: any, no accelerator; a second. Expected: launch/slice.sh and launch/host.sh, which start a LoRA on Wan 2.1 1.3B on eight v6e
chips. The names of project, zone and bucket are yours to put in. docs/launch.md has the steps and all keys.
"""
from tqd_jax.launching.config import Launch
from transfer_jax.runtime.config import defaults


def get_config():
    """A LoRA of Wan 2.1 T2V 1.3B on a queued slice; the cache was written by the same config with job.program = 'encode'."""
    config = defaults(Launch)
    config.name = 'wan-lora'
    config.place = 'queued'
    config.chip = 'v6e-8'
    config.provision = 'spot'
    config.google.project = 'my-project'
    config.google.zone = 'us-east5-b'
    config.code.source = 'gs://my-bucket/tqd.tar.gz'
    config.code.copies = (('gs://my-bucket/Wan2.1-T2V-1.3B', 'weights'),)
    config.job.config = 'configs/wan.py'
    config.job.workdir = 'gs://my-bucket/runs/lora'
    config.job.overrides = ('wan.path=weights', 'data.cache=gs://my-bucket/cache', 'train.batch=8')
    return config
