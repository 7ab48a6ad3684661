"""The theory study's pictures, from its records alone."""
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from transfer_jax.plots import STYLE, colour

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
    figure, found = panels(records, sharey=True)
    for _, axes, own in found:
        for number, d in enumerate(sorted({record['d'] for record in own})):
            line = sorted((record for record in own if record['d'] == d), key=lambda record: record['ratio'])
            x = np.array([record['ratio'] for record in line])
            for way, style in (('none', ':'), ('UOWQ', '-')):
                predicted = np.array([[record['ways'][way]['predicted']] for record in line])
                ratio = np.array([record['ways'][way]['kl'] for record in line]) / predicted
                axes.errorbar(x, abs(ratio[:, 0] - 1), ratio[:, 1], color=colour(number), linestyle=style, marker='o', markersize=3,
                              capsize=2, label=f'd = {d}' if way == 'UOWQ' else None)
        axes.plot(x, 2.5 / x, color='0.6', linewidth=1, label='slope -1')
        axes.set(xscale='log', yscale='log', xlabel='N0 / d', ylim=(1e-4, 5))
    found[0][1].set_ylabel('|realised / predicted - 1|')
    found[-1][1].legend(title='solid UOWQ, dotted target only', ncols=2, fontsize=7)
    return figure


def threshold(records):
    """KL over target only's against n / N0 for every N0 G: predicted lines, realised marks."""
    figure, found = panels(records, sharey=True)
    for _, axes, own in found:
        for number, record in enumerate(own):
            x, none = np.array(record['quantities']), record['predicted'][0]
            kl = np.array(record['kl'])
            axes.plot(x, np.array(record['predicted']) / none, color=colour(number), linewidth=1)
            axes.errorbar(x, kl[:, 0] / none, kl[:, 1] / none, color=colour(number), fmt='o', markersize=2.5, label=record['distance'])
            axes.plot(record['closed'], record['predicted'][record['best']] / none, '*', color=colour(number), markersize=10)
        axes.set(xscale='symlog', xlabel='n / N0')
        axes.set_xlim(0, 25)
    found[0][1].set_ylabel('KL over target only\'s')
    found[0][1].legend(title='N0 G (star: n*)', fontsize=7, ncols=3)
    return figure


def debiasing(records):
    """KL over target only's at UOWQ's weights with the raw, the debiased and the true G."""
    figure, found = panels(records, height=4.2, sharex=True)
    for _, axes, own in found:
        names = [f'{record["scenario"]}, d {record["d"]}' for record in own]
        for number, gram in enumerate(('raw', 'debiased', 'oracle')):
            values = np.array([record['over none'][f'UOWQ {gram}'] for record in own])
            axes.errorbar(values[:, 0], np.arange(len(own)) + 0.2 * (number - 1), xerr=2 * values[:, 1], fmt='o', markersize=4,
                          color=colour(number), label=gram)
        axes.set(xscale='log', xlabel='KL over target only\'s', yticks=range(len(own)))
        axes.set_yticklabels(names, fontsize=7)
        axes.invert_yaxis()
    found[0][1].legend(title='UOWQ with G', loc='lower left', fontsize=7)
    return figure


def orders(records):
    """Realised KL of UOWQ over that of OTQMS, and of OTQMS over the better of none and all, a mark an instance."""
    figure, found = panels(records, sharey=True, sharex=True)
    for _, axes, own in found:
        for number, record in enumerate(own):
            kl = np.array([[value for value, _ in instance['kl']] for instance in record['instances']])
            axes.plot(kl[:, 2] / kl[:, :2].min(1), kl[:, 3] / kl[:, 2], 'o', color=colour(number), markersize=3, alpha=0.7,
                      label=f'K = {record["sources"]}')
        for line in (axes.axhline, axes.axvline):
            line(1, color='0.5', linewidth=0.8)
        axes.set(xlabel='OTQMS over min(none, all)')
    found[0][1].set_ylabel('UOWQ over OTQMS, realised')
    found[0][1].legend(fontsize=7)
    return figure
