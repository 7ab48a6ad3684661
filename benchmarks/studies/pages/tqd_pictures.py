"""Pictures of study 1: measures arm by arm, loss by noise bin, histograms of t, and samples."""
import numpy as np

from benchmarks.studies.pages import figures
from benchmarks.studies.pages.statistics import estimate
from benchmarks.studies.pages.tqd_values import MEASURES, SHORT, t_histogram, values


def draw_samples(folder, results, samples):
    """The sheet of samples {(regime, arm): uint8 [n, F, H, W, 3]} of every regime."""
    for regime in results['regimes']:
        figure = figures.sheet_figure({arm: samples[regime, arm] for arm in results['arms']})
        figures.save(figure, folder / f'tqd_{results["size"]}_{regime}_samples.png')


def draw_pictures(folder, results):
    """The pictures that `pictures` names, but for the samples."""
    for regime in results['regimes']:
        name, arms, true = f'tqd_{results["size"]}_{regime}', list(results['arms']), results['truth']['true golden clips']
        estimates = {MEASURES[key][0]: [estimate(values(results, regime, arm, key)) for arm in arms] for key in SHORT}
        figure = figures.intervals(arms, estimates, {MEASURES[key][0]: true[key] for key in SHORT[:3]})
        figures.save(figure, folder / f'{name}_measures.png')
        figures.save(loss_picture(results, regime), folder / f'{name}_loss.png')
        figures.save(figures.histograms({arm: t_histogram(results, regime, arm) for arm in arms}), folder / f'{name}_t.png')


def loss_picture(results, regime):
    """Validation loss by noise bin, relative to the first arm's."""
    loss = {arm: np.array([run['curve'][-1]['loss'] for run in results['runs'] if (run['regime'], run['arm']) == (regime, arm)])
            for arm in results['arms']}
    first, base = next(iter(loss.items()))
    title = f'validation loss on golden clips against that of {first}, %'
    places = (np.arange(base.shape[1]) + 0.5) / base.shape[1]
    return figures.curves(places, {title: {arm: 100 * (own / base - 1) for arm, own in loss.items()}}, 't (0: data, 1: noise)')


def pictures(results, regime):
    """Markdown of the pictures of a regime."""
    name = f'tqd_{results["size"]}_{regime}'
    return [f'![measures]({name}_measures.png)', '', 'Dashed: true golden clips. Bands below: from the lowest to the highest of the seeds.',
            '', f'![loss on golden clips by noise]({name}_loss.png)', '',
            f'![histograms of t]({name}_t.png)', '', f'![samples of the first seed]({name}_samples.png)']
