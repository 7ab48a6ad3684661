"""What the jobs of both packages share: the mode, full disks, the config that a folder holds a run of, facts of the machine."""
import contextlib
import errno
import platform
import shlex

import jax

from transfer_jax.runtime.config import allowed_keys, differences, flatten, free_keys, old_names, renamed, rules
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.lock import alone_in
from transfer_jax.runtime.parallel.cores import cores
from transfer_jax.runtime.paths import check_store, is_of_store, make_folder, path_of, summary

SHOWN = 5  # keys of another config
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def run_mode(modes, mode, config, workdir, *, alone=True):
    """Runs modes[mode](config, folder) in the folder of the job, which it makes.

    Args:
      modes: {name: function of (config, folder)}.
      config: the checked instance of the job's schema.
      workdir: the folder of the job, text or a path; of an object store a URL.
      alone: no other job may run there meanwhile; False of a mode that leaves alone what the others write.

    Raises:
      UserError: the folder cannot be written (`check_store`, `unwritable`), another job runs there, or whatever the mode says.
    """
    folder = path_of(workdir)
    check_store(folder)
    with unwritable(folder):
        _make(folder)
        with alone_in(folder) if alone else contextlib.nullcontext():
            modes[mode](config, folder)


def _make(folder):
    try:
        make_folder(folder)
    except FileNotFoundError as error:  # below /proc and the like, or below a link to nowhere
        raise UserError(f'{folder} cannot be made: {error.strerror}; name another --workdir') from error


@contextlib.contextmanager
def unwritable(folder):
    """A context in which an OSError of a full or read-only disk, and any error of an object store, becomes a UserError that names it."""
    try:
        yield
    except Exception as error:
        if is_of_store(error):
            raise UserError(f'{folder} cannot be reached ({summary(error)}); the same command goes on where it was') from error
        if not isinstance(error, OSError):
            raise
        if error.errno not in UNWRITABLE:
            raise
        raise UserError(f'{error.filename or folder} cannot be written: {error.strerror}; free space or name another '
                        '--workdir (or TMPDIR for temporary files); the same command goes on where it was') from error


def require_same_config(workdir, old, config, fixed=(), *, allowed=(), leave=None):
    """Raises UserError where a folder holds a run of another config, in a key that a resumed run may not change.

    Args:
      workdir: the folder, for the message.
      old: the stored config, as `to_json` made it.
      config: the instance of a schema that the new run has.
      fixed: keys that the schema says a resumed run may change, and this one may not.
      allowed: keys that this one may change all the same, since the user gave leave.
      leave: a flag by which the user gives that, for the message where it would help.
    """
    schema = type(config)
    earlier = old_names(old, rules(schema), renamed(schema))
    if earlier:
        raise UserError(f'{workdir} holds a run of an earlier version, whose config has other names for these keys: '
                        f'{", ".join(earlier)}; use another --workdir')
    free = set(free_keys(schema)) - set(fixed) | set(allowed)
    changes = [line for line in differences(old, config) if not _is_among(line.split(':')[0], free)]
    if changes:
        helps = leave and all(_is_among(line.split(':')[0], {*allowed_keys(schema), *fixed}) for line in changes)
        go_on = f', or go on with the new ones by {leave}' if helps else ''
        values = flatten(old, {})
        again = [shlex.quote(f'--config.{key}={values[key]}') for key in (line.split(':')[0] for line in changes) if key in values]
        more = f'; and {len(changes) - SHOWN} more' if len(changes) > SHOWN else ''
        raise UserError(f'{workdir} holds a run with another config ({"; ".join(changes[:SHOWN])}{more}); use another --workdir, or give '
                        f'its values again: {" ".join(again)}{go_on}')


def _is_among(key, names):
    """Whether a dotted key is one of the names, or inside of one."""
    return key in names or any(key.startswith(f'{name}.') for name in names)


def print_stop(step=None, saved=True):
    """Tells the user that the job stopped, after `step` steps where it counts them, and how it goes on. saved: it keeps what it has."""
    if step == 0:
        print('stopped before the first step; the same command begins with it')
        return
    where = '' if step is None else f' at step {step}'
    print(f'stopped and saved{where}; the same command goes on from there' if saved else 'stopped; the same command begins again')


def machine():
    """{'jax', 'python', 'devices'}: versions and devices, for the facts of a run."""
    return {'jax': jax.__version__, 'python': platform.python_version(),
            'devices': f'{jax.device_count()} x {jax.devices()[0].device_kind}'}


def machine_line():
    """Cores, devices and versions, in one line, for the figures of benchmarks."""
    facts = machine()
    return f'{counted(cores(), "core")}, {facts["devices"]}, Python {facts["python"]}, jax {facts["jax"]}'
