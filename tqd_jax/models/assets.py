"""Weights that the package ships: where 'asset:NAME' of a config lies."""
import pathlib

ASSETS = pathlib.Path(__file__).parents[1] / 'assets'
PREFIX = 'asset:'


def located(text):
    """The path of 'asset:NAME' in the package, whether it is there or not; every other text, and None, as it is."""
    return ASSETS / text.removeprefix(PREFIX) if is_asset(text) else text


def is_asset(text):
    """Whether a value of a config names something of the package."""
    return isinstance(text, str) and text.startswith(PREFIX)


def shipped_models():
    """The names of whole models in the package, as a config writes them."""
    return sorted(f'{PREFIX}{path.name}' for path in ASSETS.iterdir() if path.is_dir() and not path.name.startswith('.'))
