"""The command of a job, checked against its own config before it is written anywhere."""
import pathlib
import runpy

from tqd_jax.config import Config, check_whole
from transfer_jax.runtime.app import PREFIX, overridden
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import check_parts, mesh_shape


def command(job) -> tuple[str, ...]:
    """The words of the command after `python`, the same on every host and after every interruption."""
    where = 'workdir' if job.program == 'main' else 'output'
    mode = () if job.program == 'encode' or job.mode == 'train' else (f'--mode={job.mode}',)
    return ('-m', f'tqd_jax.{job.program}', f'--config={job.config}', f'--{where}={job.workdir}', *mode,
            *(PREFIX + override for override in job.overrides))


def check_job(job, devices):
    """Raises UserError where the job's config file is not there, it refuses a key or a value, alone or together, or its mesh or batch does
    not fit so many devices, which those who rent them would else be told by the job."""
    path = pathlib.Path(job.config)
    if not path.is_file() or path.is_absolute():
        raise UserError(f'config.job.config = {job.config!r}: there is no such file from here; start this command in the project, and name '
                        'a file by its path in it')
    if job.program == 'encode' and job.mode != 'train':
        raise UserError(f'config.job.mode = {job.mode!r} is a mode of main, and config.job.program = {job.program!r}: leave it out')
    made = runpy.run_path(str(path)).get('get_config')
    if made is None:
        raise UserError(f'config.job.config = {job.config!r} has no function get_config')
    try:
        config = overridden(made(), [PREFIX + override for override in job.overrides], Config)
        check_whole(config)
        if job.program == 'main' and job.mode != 'score':  # the others take devices as they come
            data, fsdp, _ = mesh_shape(devices, config.mesh.data, config.mesh.fsdp, config.mesh.context)
            check_parts(config.train.batch, data * fsdp, devices)
    except UserError as error:
        raise UserError(f'{error} (of the job: {job.config} with config.job.overrides)') from None
