"""The report's section on samples: videos beside those of the model as it was, and their motion and visual quality beside the data's."""
import numpy as np

from tqd_jax.report import plots
from tqd_jax.report.videos import add_video
from transfer_jax.runtime.counts import counted

START = 'step-000000'  # folder of samples of the model before its first step
SHOWN = 8  # videos of each kind


def samples(page, run):
    """Writes the section."""
    page.section('Samples')
    if not run.samples and not run.videos:
        page.text('No samples have been drawn yet.')
        return
    page.text('Frames from left to right, a clip a row, are in samples/sheet.png and samples/data.png.')
    _videos(page, run)
    _data(page, run)
    groups = {name: (run.samples[name]['motion'], run.samples[name]['visual']) for name in ('data', 'samples') if name in run.samples}
    if groups:
        page.figure(plots.compare(groups), 'Measured as the clips are, on the frames the model makes. Below some 64 pixels a side the '
                    'finest detail is all there is, and a ragged outline passes for it: there, trust motion, and your eyes for '
                    'visual quality.',
                    'Scatter of visual quality against motion, samples and data')
        page.table([[name, len(x), float(np.mean(x)), float(np.mean(y))] for name, (x, y) in groups.items()],
                   ['clips', 'number', 'mean motion', 'mean visual quality'])


def _data(page, run):
    clips = sorted((run.folder / 'samples' / 'data').glob('*.mp4'))[:SHOWN]
    if clips:
        published = (run.config or {}).get('wan', {}).get('path') is not None
        page.text(f'Clips of the data{", as the VAE gives them back" if published else ""}, to compare.')
    for number, path in enumerate(clips, 1):
        add_video(page, [path], f'data {number}')


def _videos(page, run):
    captions = run.samples.get('captions', [])
    starts = {path.name: path for path in (run.folder / 'samples' / START).glob('*.mp4')}
    if starts:
        page.text('Each sample as the model drew it before training, and after, from the same noise. Those of the steps between are in the '
                  'folders samples/step-*.')
    if len(run.videos) > SHOWN:
        page.text(f'{SHOWN} of {counted(len(run.videos), "sample")}; all are in the folder samples/.')
    for number, path in enumerate(run.videos[:SHOWN]):
        caption = captions[number] if number < len(captions) else path.stem
        if path.name in starts:
            add_video(page, [starts[path.name], path], caption, ('before training', 'after'))
        else:
            add_video(page, [path], caption)
