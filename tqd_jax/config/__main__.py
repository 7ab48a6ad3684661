"""Prints every key of the main job as Markdown tables, the start of docs/configuration.md: `make configuration`."""
from tqd_jax.config.schema import Config
from transfer_jax.runtime.config import describe

OPENING = """\
# Configuration

A config file in `configs/` sets values; the command line overrides any of them: `--config.KEY=VALUE`. A key that is not here does not
exist, and a value that is not allowed is refused in one line before anything runs. `make configuration` writes this page from the
dataclasses that define the keys: `tqd_jax/config/` and `transfer_jax/experiment/config.py`.

A run in a folder that holds one goes on with it; *a resumed run* says which keys may then have other values.
"""


MAIN = """\
The defaults are those of `configs/pixels.py`; `configs/video.py` runs on latents and has other values of some keys, which its file names.
"""


def tables():
    """Every key as Markdown tables."""
    return f'{OPENING}\n## The main job, `--config=configs/video.py`\n\n{MAIN}\n{describe(Config)}'


if __name__ == '__main__':
    print(tables())
