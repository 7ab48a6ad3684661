"""Compiled programs kept in a folder, so that a run that starts again loads them: JAX's persistent cache, for one kind of processor."""
import contextlib
import hashlib
import pathlib
import platform
import time
from collections.abc import Iterator

import jax
from jax._src.compilation_cache import decompress_executable  # the only test of whether an entry is whole
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from transfer_jax.runtime.paths import AnyPath, is_remote

UNUSED = 30 * 86400.0  # s
SETTING = 'jax_compilation_cache_dir'
XLA_SETTING = 'jax_persistent_cache_enable_xla_caches'  # what XLA writes there itself, to local folders


@contextlib.contextmanager
def compiled_programs_kept(folder: AnyPath) -> Iterator[None]:
    """A context in which JAX keeps programs that take a second or more to compile in the folder, and loads them from there.

    JAX tells them apart by program, versions, options and devices; of several processes the first writes. A processor with other
    instructions has a folder of its own below this one, since code for CPUs may not run on another. Programs that nobody has loaded for
    UNUSED seconds, as of another version or config, are removed. Where the user has set JAX's own
    jax_compilation_cache_dir, that holds and nothing is done. XLA's own cache for GPUs, which JAX puts into the same folder, is left out
    where the folder is in an object store: XLA cannot write there, and a compilation would fail.
    """
    if getattr(jax.config, SETTING) is not None:
        yield
        return
    place = folder / processor()
    if jax.process_index() == 0 and not is_remote(place):  # there, files are whole
        remove_damaged(place)
        remove_unused(folder)
    before = getattr(jax.config, XLA_SETTING)
    jax.config.update(SETTING, str(place))
    jax.config.update(XLA_SETTING, None if is_remote(place) else before)
    try:
        yield
    finally:
        jax.config.update(SETTING, None)
        jax.config.update(XLA_SETTING, before)
        reset_cache()


def remove_unused(folder: pathlib.Path) -> None:
    """Removes the entries below the folder that were neither written nor read for UNUSED seconds."""
    for path in folder.glob('*/*-cache'):
        with contextlib.suppress(OSError):
            status = path.stat()
            if max(status.st_mtime, status.st_atime) < time.time() - UNUSED:
                path.unlink()


def processor() -> str:
    """A name for this machine's kind of processor, the same where code for one runs on the other."""
    info = pathlib.Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else [platform.processor()]
    features = next((line for line in lines if line.lower().startswith(('flags', 'features'))), '')
    return f'{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}'


def remove_damaged(folder: pathlib.Path) -> None:
    """Removes entries that a kill left half written, with a line for each: JAX would not write them again."""
    for path in folder.glob('*-cache'):
        try:
            decompress_executable(path.read_bytes())
        except Exception:  # of zstandard or zlib, whichever JAX found
            print(f'{path} is damaged: it is removed, and compiled again', flush=True)
            path.unlink(missing_ok=True)
