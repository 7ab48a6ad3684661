"""A self-contained HTML page: figures, pictures, videos and tables inside one file."""
from transfer_jax.runtime.page.page import Page, Picture
from transfer_jax.runtime.page.svg import Mark

__all__ = ['Mark', 'Page', 'Picture']
