"""OTQMS (arXiv:2502.04242): as many samples of each source as lower the predicted error, unweighted."""
import jax.numpy as jnp

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods import control
from transfer_jax.experiment.methods.protocol import Outcome

UNDER, OVER = 0.1, 5.0  # of the usual steps


def dynamic(lab: Lab) -> Outcome:
    """Quantities decided repeatedly during the fit, with the Fisher information at its current parameters."""
    return control.dynamic(lab, 'otqms', control.amounts_of)


def exact(lab: Lab) -> Outcome:
    """Quantities decided once, with theta_0 from the fit to the target alone."""
    return _from_theta_0(lab, 'otqms_exact', lab.fits_of_noise()[0])


def under(lab: Lab) -> Outcome:
    """Quantities decided once, with theta_0 trained for a tenth of the steps."""
    return _from_theta_0(lab, 'otqms_under', lab.fit('target_under', lab.policy(0), times=UNDER))


def over(lab: Lab) -> Outcome:
    """Quantities decided once, with theta_0 trained for five times the steps."""
    return _from_theta_0(lab, 'otqms_over', lab.fit('target_over', lab.policy(0), times=OVER))


def published(lab: Lab) -> Outcome:
    """The method of the paper: theta_0 are the current parameters of the fit, and G is not debiased, with noise 1 / N0."""
    def measure(params, step):
        theta_0 = params if step else lab.fit_alone().params
        measurement = lab.measure(theta_0, jnp.ones(len(lab.splits)), target=theta_0)
        return measurement.replace(gram=measurement.raw * measurement.noise[:, None, None])
    return control.dynamic(lab, 'otqms_published', control.amounts_of, measure)


def _from_theta_0(lab, name, theta_0):
    middle, seconds = lab.measure_sources()
    measurement = lab.measure(theta_0.params, middle.shortfall, target=theta_0.params)
    return control.static(lab, name, control.amounts_of, measurement, seconds, (theta_0,))
