"""How fast a training was, and where its time went, over all its starts."""
import numpy as np

from transfer_jax.runtime.speed.clock import table

NAMES = {'examples_per_second': ('clips a second in training', '{:.3g}'), 'step_seconds': ('seconds a step', '{:.3g}'),
         'tflops_per_device': ('TFLOP/s a device, of the model, without what is computed again', '{:.3g}'),
         'mfu': ("share of the device's bfloat16 peak", '{:.1%}')}


def speed(run):
    """{what: text} of the speed of Results: medians over the lines of the metrics."""
    values = {name: run.series(name)[1] for name in NAMES}
    return {label: text.format(np.median(values[name])) for name, (label, text) in NAMES.items() if values[name].size}


def time_spent(page, run):
    """A table of what the time since the first start was spent on; nothing where the metrics do not say."""
    rows = table(run.metrics)
    if rows:
        page.text('Where the time since training first began went (the clips were scored before), up to the last line of the metrics:')
        page.table([[what, f'{seconds:.1f}', f'{share:.1%}'] for what, seconds, share in rows], ['what', 'seconds', 'share'])
