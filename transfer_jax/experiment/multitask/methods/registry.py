"""METHODS: every method by name, with the variants that validation chooses between."""
from transfer_jax.experiment.multitask.methods.cagrad import cagrad
from transfer_jax.experiment.multitask.methods.equal import equal, pooled, single
from transfer_jax.experiment.multitask.methods.famo import famo
from transfer_jax.experiment.multitask.methods.gradnorm import gradnorm
from transfer_jax.experiment.multitask.methods.mgda import mgda
from transfer_jax.experiment.multitask.methods.nash import nash
from transfer_jax.experiment.multitask.methods.pcgrad import pcgrad
from transfer_jax.experiment.multitask.methods.uncertainty import uncertainty
from transfer_jax.experiment.multitask.methods.uowq import uowq

METHODS = {
    'single': {'': single()},
    'pooled': {'': pooled()},
    'equal': {'': equal()},
    'uncertainty': {'': uncertainty()},
    'gradnorm': {'alpha 0.5': gradnorm(0.5), 'alpha 1.5': gradnorm(1.5)},
    'pcgrad': {'': pcgrad()},
    'mgda': {'': mgda()},
    'cagrad': {'c 0.2': cagrad(0.2), 'c 0.6': cagrad(0.6)},
    'nash': {'': nash()},
    'famo': {'': famo()},
    'uowq_static': {'shared': uowq(0.0, dynamic=False), 'own': uowq(1.0, dynamic=False)},
    'uowq': {'shared': uowq(0.0), 'own': uowq(1.0)},
}
