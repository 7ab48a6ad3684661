"""How much to learn from each source: optimal weights and quantities, and the runtime both trainers stand on."""
from transfer_jax.runtime.public import public

__getattr__, __dir__, __all__ = public(__name__, {
    'budget': ('budgeted_weights',),
    'debias': ('debias_gram', 'gram_uncertainty', 'split_half_noise'),
    'fisher': ('dimension', 'fisher_gram'),
    'objective': ('predicted_error', 'single_source_quantity', 'single_source_weight'),
    'planning': ('Plan', 'plan'),
    'quantities': ('transfer_quantities',),
    'runtime.errors': ('UserError',),
    'solver.solution': ('Solution', 'Status', 'check'),
    'weights': ('source_weights',),
})
