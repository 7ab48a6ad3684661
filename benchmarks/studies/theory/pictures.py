"""The theory study's pictures, from its records alone."""
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure

from transfer_jax.experiment.plots import STYLE, colour

NAMES = {'mean': 'Gaussian mean', 'logistic': 'logistic regression', 'softmax': 'softmax regression'}


def of(records, kind):
    """The records of one kind, in order."""
    return [record for name, record in records.items() if name.startswith(f'{kind}/')]


def pictures(records):
    """{name: Figure}: 'growth', 'threshold', 'debiasing', 'orders'."""
    with rc_context(STYLE):
        return {'growth': growth(of(records, 'growth')), 'threshold': threshold(of(records, 'threshold')),
                'debiasing': debiasing(of(records, 'debiasing')), 'orders': orders(of(records, 'orders'))}


def panels(records, width=3.7, height=3.3, **shared):
    """(figure, [(model, axes, its records)]): a panel a model."""
    models = list(dict.fromkeys(record['model'] for record in records))
    figure = Figure(figsize=(width * len(models), height), layout='constrained')
    axes = figure.subplots(1, len(models), squeeze=False, **shared)[0]
    for model, one in zip(models, axes, strict=True):
        one.set_title(NAMES[model])
    own = [[record for record in records if record['model'] == model] for model in models]
    return figure, list(zip(models, axes, own, strict=True))


def growth(records):
    """|realised / predicted - 1| against N0 / d: a line a dimension, one panel a regression and way."""
    records = [record for record in records if record['model'] != 'mean' and record['sources'] == 3] or records
    figure, panes = panels(records, sharey=True)
    for _, axes, own in panes:
        for number, d in enumerate(sorted({record['d'] for record in own})):
            line = sorted((record for record in own if record['d'] == d), key=lambda record: record['ratio'])
            x = np.array([record['ratio'] for record in line])
            for way, style in (('none', ':'), ('UOWQ', '-')):
                predicted = np.array([[record['ways'][way]['predicted']] for record in line])
                ratio = np.array([record['ways'][way]['kl'] for record in line]) / predicted
                axes.errorbar(x, abs(ratio[:, 0] - 1), ratio[:, 1], color=colour(number), linestyle=style, marker='o', markersize=3,
                              capsize=2, label=f'd = {d}' if way == 'UOWQ' else None)
        axes.plot(x, 2.5 / x, color='0.6', linewidth=1, label='slope -1')
        axes.set(xscale='log', yscale='log', xlabel='N0 / d', ylim=(1e-4, 20))
        axes.legend(title='solid UOWQ, dotted target only', loc='upper right', ncols=3, fontsize=7)  # d is not the same in all panels
    panes[0][1].set_ylabel('|realised / predicted - 1|')
    return figure


def threshold(records):
    """KL over target only's against n / N0 for every N0 G: predicted lines, realised marks, the darker the nearer the source."""
    figure, panes = panels(records, sharey=True)
    for _, axes, own in panes:
        shades = colormaps['viridis'](np.linspace(0, 0.9, len(own)))
        for shade, record in zip(shades, own, strict=True):
            x, none = np.array(record['quantities']), record['predicted'][0]
            kl = np.array(record['kl'])
            axes.plot(x, np.array(record['predicted']) / none, color=shade, linewidth=1)
            axes.errorbar(x, kl[:, 0] / none, kl[:, 1] / none, color=shade, fmt='o', markersize=2.5, label=record['distance'])
            axes.plot(record['closed'], record['predicted'][record['best']] / none, '*', color=shade, markersize=9)
        axes.set_xscale('symlog', linthresh=0.1)
        axes.set(xlabel='n / N0', xlim=(0, 25), yscale='log', yticks=(0.3, 0.5, 1, 2, 3))
        axes.yaxis.set_major_formatter('{x:g}')
        axes.minorticks_off()
    panes[0][1].set_ylabel('KL over target only\'s')
    panes[0][1].legend(title='N0 G (star: n*)', loc='upper left', fontsize=7, ncols=3)
    return figure


def debiasing(records):
    """KL over target only's at UOWQ's weights with the raw, the debiased and the true G."""
    figure, panes = panels(records, height=4.2, sharex=True)
    for _, axes, own in panes:
        names = [f'{record["scenario"]}, d {record["d"]}' for record in own]
        for number, gram in enumerate(('raw', 'debiased', 'oracle')):
            values = np.array([record['over none'][f'UOWQ {gram}'] for record in own])
            axes.errorbar(values[:, 0], np.arange(len(own)) + 0.2 * (number - 1), xerr=2 * values[:, 1], fmt='o', markersize=4,
                          color=colour(number), label=gram)
        axes.set(xscale='log', xlabel='KL over target only\'s', yticks=range(len(own)))
        axes.set_yticklabels(names, fontsize=7)
        axes.invert_yaxis()
    figure.legend(*panes[0][1].get_legend_handles_labels(), title='UOWQ with G', loc='outside lower center', ncols=3, fontsize=7)
    return figure


def orders(records):
    """Realised KL of UOWQ over that of OTQMS, and of OTQMS over the better of none and all, a mark an instance."""
    figure, panes = panels(records, sharey=True, sharex=True)
    for _, axes, own in panes:
        for number, record in enumerate(own):
            kl = np.array([[value for value, _ in instance['kl']] for instance in record['instances']])
            none, everything, quantities, weights = kl.T
            axes.plot(quantities / np.minimum(none, everything), weights / quantities, 'o', color=colour(number), markersize=3, alpha=0.7,
                      label=f'K = {record["sources"]}')
        for line in (axes.axhline, axes.axvline):
            line(1, color='0.5', linewidth=0.8)
        axes.set(xlabel='OTQMS over min(none, all)')
    panes[0][1].set_ylabel('UOWQ over OTQMS, realised')
    panes[0][1].legend(fontsize=7)
    return figure
