"""The law of a run from a file: law.json of --mode=learn, and the copy in the run's folder."""
import json

import numpy as np

from tqd_jax.config import LEARNED, law_config
from tqd_jax.timesteps.learned import LearnedLaw
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.saves.checkpoint import Checkpoints

LAW = 'learned_law.json'  # a run's own copy of config.law.file


def law_of(config, workdir):
    """The LawConfig of config.law, or the LearnedLaw of which the work directory has a copy."""
    return read_law(path_of(workdir) / LAW) if config.law.kind == LEARNED else law_config(config.law)


def read_law(path):
    """The LearnedLaw of a file. Raises UserError where it has none."""
    try:
        record = json.loads(path_of(path).read_text(encoding='utf-8'))
        if 'kinds' in record and 'groups' not in record:
            raise UserError(f'config.law.file: {path} was written by an earlier version of tqd_jax: '
                            'rename its key "kinds" to "groups", or learn it again (--mode=learn)')
        return LearnedLaw(groups=tuple(record['groups']), weight=np.array(record['weight'], np.float64), by=record['by'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f'it has no {error}' if isinstance(error, KeyError) else error
        raise UserError(f'config.law.file: {path} is no law that --mode=learn wrote: {reason}') from None


def copy_law(file, workdir):
    """Copies config.law.file into the folder; a run that has begun keeps its copy, whatever becomes of the file.

    Raises UserError where the file by then has another law.
    """
    file, copy = path_of(file), workdir / LAW
    if Checkpoints(workdir / 'checkpoints').latest() is None:
        read_law(file)
        write_atomically(copy, file.read_bytes())
    elif file.exists() and json.loads(file.read_text(encoding='utf-8')) != json.loads(copy.read_text(encoding='utf-8')):
        raise UserError(f'config.law.file = {str(file)!r} is not the law that {workdir} is trained by ({copy}): '
                        'name that one, or another --workdir')
