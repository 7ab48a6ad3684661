"""How often clips are drawn for an expert of a part of the noise levels."""
import dataclasses

import numpy as np

from tqd_jax.timesteps.density import masses
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError

LEAST_MASS = 1e-4  # of a law; less is near float32's accuracy, and a stream of such clips would need thousands of epochs for one draw


def for_expert(library, expert, t_range, training=None):
    """The Library of the expert named `expert`, which is trained at t in t_range: a clip is drawn as often as its own t lies there.

    acceptance becomes acceptance x mass, the mass of the clip's law in t_range, divided by the largest; the rate of a source is
    multiplied by the mean mass of what is accepted of it among the rows `training` (None: all). So how often a clip is drawn, times the
    density of its t in t_range, is what a model of all t is trained on, restricted to t_range.

    Prints how many clips have less than LEAST_MASS there: they are never drawn. Raises UserError where none is left.
    """
    mass = masses(library.laws, np.arange(len(library)), t_range)
    mass = np.where(mass < LEAST_MASS, 0.0, mass)
    acceptance = library.acceptance * mass
    _report(expert, t_range, mass, acceptance)
    rows = np.arange(len(library)) if training is None else training
    before, after = (np.bincount(library.source[rows], weights[rows], minlength=len(library.rates))
                     for weights in (library.acceptance, acceptance))
    return dataclasses.replace(library, acceptance=acceptance / acceptance.max(),
                               rates=library.rates * after / np.where(before > 0, before, 1.0))


def _report(expert, t_range, mass, acceptance):
    where = f'less than {LEAST_MASS:g} of its law on the t of [{t_range[0]:g}, {t_range[1]:g}]'
    if not acceptance.any():
        raise UserError(f'config.wan.expert = {expert!r} can draw none of {counted(len(mass), "clip")}: each has a quality of 0 or '
                        f'{where}; '
                        'train the other expert, or set another config.law')
    if (mass == 0).any():
        print(f'expert {expert}: {np.sum(mass == 0)} of {counted(len(mass), "clip")} '
              f'{plural(np.sum(mass == 0), "is never drawn and has", "are never drawn, each has")} {where}', flush=True)
