"""METHODS: every method by name, a function of a Lab that returns an Outcome; and what the methods need."""
from transfer_jax.experiment.methods import all_sources, budget, h_ensemble, mcw, otqms, single_source, target_only, uowq, wadn

METHODS = {
    'target_only': target_only.run, 'all_sources': all_sources.run, 'single_source': single_source.run, 'cv_global': all_sources.cv_global,
    'h_ensemble': h_ensemble.run, 'mcw': mcw.run, 'wadn': wadn.run,
    'otqms_published': otqms.published, 'otqms_under': otqms.under, 'otqms_exact': otqms.exact, 'otqms_over': otqms.over,
    'otqms': otqms.dynamic, 'uowq_budget': budget.run, 'uowq_static': uowq.static, 'uowq_dynamic': uowq.dynamic,
    'uowq': uowq.chosen,
}
NEED_CLASSES = ('h_ensemble', 'mcw', 'wadn')
NEED_VALIDATION = ('single_source',)
NEED_FOLDS = ('cv_global',)
NEED_STEPS = ('otqms_under', 'otqms_over')  # whose theta_0 is trained for other numbers of steps
NEED_GRAM = tuple(name for name in METHODS if name.startswith(('otqms', 'uowq')))
