"""What of a launch config contradicts itself or is missing: one line, before a file is written."""
from tqd_jax.launching.chips import slice_of
from tqd_jax.launching.config import GOOGLE
from transfer_jax.runtime.errors import UserError


def check_launch(config):
    """Raises UserError where keys of a Launch contradict each other, or one is missing that its place needs."""
    if config.place in GOOGLE:
        _google(config)
    gpu = slice_of(config.chip).kind is None
    _refuse(gpu and config.place in GOOGLE, config, 'chip', 'a GPU is for slurm and colab; take v6e-8, v5p-8, v5litepod-8 or the like')
    _refuse(not gpu and config.place == 'slurm', config, 'chip', 'slurm is for GPUs, as in h100-8; TPUs take queued, mig or gke')
    other = 'tpu' if gpu else 'gpu'
    _refuse(f'[{other}' in config.code.install or f',{other}' in config.code.install, config, 'code.install',
            f'config.chip = {config.chip!r} takes the extra {"gpu" if gpu else "tpu"}')
    _PLACES[config.place](config)
    for where, folder in config.code.copies:
        if not where.startswith('gs://') or folder.startswith('/') or '..' in folder.split('/'):
            raise UserError(f'config.code.copies has ({where!r}, {folder!r}): write (\'gs://BUCKET/PATH\', \'FOLDER\'), FOLDER within the '
                            'project')


def _google(config):
    for name in ('project', 'zone'):
        if getattr(config.google, name) is None:
            raise UserError(f'config.google.{name} is missing, and config.place = {config.place!r} needs it: --config.google.{name}=...')
    if not config.job.workdir.startswith('gs://'):
        raise UserError(f'config.job.workdir = {config.job.workdir!r}: the disks of config.place = {config.place!r} are gone with the '
                        'machines; name a place in a bucket, gs://BUCKET/PATH')
    if (config.code.source is None) == (config.code.image is None):
        raise UserError('config.code.source and config.code.image: give one of them, the project in a bucket (gs://BUCKET/FILE.tar.gz) or '
                        'an image')
    if config.code.source is not None and not config.code.source.startswith('gs://'):
        raise UserError(f'config.code.source = {config.code.source!r}: the hosts read it from a bucket, gs://BUCKET/FILE.tar.gz')


def _tpu_vm(config):
    _refuse(slice_of(config.chip).kind.runtime is None, config, 'chip', 'the Cloud TPU API does not offer it; take mig or gke')
    if config.place == 'tpu_vm':
        _refuse(config.slices > 1, config, 'slices', 'several slices that know each other come from queued or gke')
        _refuse(config.provision == 'flex-start', config, 'provision', 'it comes from queued, mig or gke')


def _mig(config):
    _refuse(config.chip.startswith('v5litepod'), config, 'chip', 'Compute Engine offers v5p, v6e and tpu7x; take tpu_vm, queued or gke')
    _refuse(config.slices > 1, config, 'slices', 'a group is one slice; several come from queued or gke')
    _refuse(config.code.image is not None, config, 'code.image', 'the images of Compute Engine have no Docker; give code.source')


def _gke(config):
    _refuse(config.code.image is None, config, 'code.image', 'pods run an image; docs/launch.md says how one is built')
    if config.google.cluster is None:
        raise UserError("config.google.cluster is missing, and config.place = 'gke' needs it: --config.google.cluster=...")
    hosts = slice_of(config.chip).hosts
    _refuse(config.slices > 1 and hosts == 1, config, 'slices', f'GKE joins slices of several hosts only, and {config.chip} is of one')


def _own(config):
    if config.code.source is None:
        raise UserError(f'config.code.source is missing, and config.place = {config.place!r} needs it: the project\'s folder'
                        + ('' if config.place == 'slurm' else ', or an address of git clone'))
    _refuse(config.code.image is not None, config, 'code.image', 'an image is for tpu_vm, queued and gke')
    _refuse(config.place == 'slurm' and config.code.copies != (), config, 'code.copies', 'the disk of a cluster is shared: name the folder '
            'itself in job.overrides')
    slice_ = slice_of(config.chip)
    _refuse(config.place == 'colab' and (slice_.chips > 1 or config.slices > 1), config, 'chip',
            'Colab has one chip, as in v5litepod-1 or t4-1')


_PLACES = {'tpu_vm': _tpu_vm, 'queued': _tpu_vm, 'mig': _mig, 'gke': _gke, 'slurm': _own, 'colab': _own}


def _refuse(wrong, config, name, why):
    """Raises UserError that the key's value does not go with the place."""
    if wrong:
        value = config
        for part in name.split('.'):
            value = getattr(value, part)
        raise UserError(f'config.{name} = {value!r} does not go with config.place = {config.place!r}: {why}')
