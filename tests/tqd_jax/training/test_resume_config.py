"""How many clips are rendered holds a resumed run only where it renders them."""
import pytest
import small
import wan_small

from tqd_jax.training.resume import require_same_config
from tqd_jax.training.state import LAYOUT
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError


def resumed(old, new):
    require_same_config('runs/x', new, {'layout': LAYOUT, 'config': to_json(old)})


@pytest.mark.parametrize('named', [{'data.clips': 'FOLDER'}, {'data.cache': 'CACHE'}])
def test_a_run_that_renders_none_does_not_mind(named):
    of = lambda count: wan_small.config(**{'wan.path': 'WEIGHTS', 'data.rendered_clips': count, **named})
    resumed(of(240), of(None))  # what earlier versions stored, and what configs/wan.py has


def test_a_run_that_renders_them_is_held_to_their_number_and_to_rendering():
    with pytest.raises(UserError, match=r'data\.rendered_clips: 16 -> 8'):
        resumed(small.config(), small.config(**{'data.rendered_clips': 8}))
    with pytest.raises(UserError, match=r'data\.clips: '):
        resumed(small.config(), small.config(**{'data.clips': 'FOLDER'}))


def test_a_run_on_pixels_and_one_on_latents_are_told_apart_by_what_goes_on_with_them():
    """Nearly every key differs, and to give all their values again leads nowhere."""
    pixels, latents = small.config(), wan_small.config(**{'wan.path': 'WEIGHTS'})
    with pytest.raises(UserError, match=r'runs/x holds a run on pixels: go on by --config=configs/pixels\.py, or name another --workdir'):
        resumed(pixels, latents)
    with pytest.raises(UserError, match=r'runs/x holds a run on latents: go on by the config that it has config\.wan\.path=WEIGHTS from'):
        resumed(latents, pixels)
