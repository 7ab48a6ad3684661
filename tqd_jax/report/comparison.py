"""The report's section on what the law did to this run: samples beside those of the same run by another law, and their differences."""
import numpy as np

from tqd_jax.report.intervals import mean_of, paired
from tqd_jax.report.videos import add_video
from transfer_jax.runtime.counts import counted

SHOWN = 8  # captions
NAMES = {'beta': 'TQD', 'exact_base': 'TQD (exact_base)', 'learned': 'learned law'}
MEASURES = {'motion': 'motion', 'visual': 'visual quality'}
COLUMNS = 'start', 'second', 'run'


def comparison(page, run):
    """Writes the section, where config.compare asks for one."""
    against, own = (run.config or {}).get('compare'), (run.config or {}).get('law', {}).get('kind')
    if against is None or against == own or 'steps' not in run.summary:
        return
    page.section('What the timestep law did to this run')
    record = run.comparison
    if run.changes:
        page.text('This run went on with changes (see below), so no second run can be the same but for the law: there is no comparison.')
    elif record.get('steps') != run.summary.get('steps', 0):
        page.text(f'The second run, by the {name_of(against)} law, is not done yet: the same command goes on with it.')
    else:
        _write(page, record)


def name_of(kind):
    """A kind of law as a page calls it."""
    return NAMES.get(kind, kind)


def _write(page, record):
    ours, theirs, count = name_of(record['law']), name_of(record['against']), len(record['captions'])
    caption = 'one caption' if any(record['captions']) else 'no caption, since the clips have none'
    page.text(f'The same run was made twice, by {ours} and by the {theirs} law: {record["steps"]} steps from the same weights, with the '
              f'same seed, {_same(record)}. What differs is the law (TQD: timestep-aware quality decoupling), which says at which noise '
              f'levels a clip teaches (see "When the clips teach"). Each video has {caption}, and the samples in it are drawn from the '
              'same noise.')
    labels = 'before training', theirs, ours
    for number, caption in enumerate(record['captions'][:SHOWN]):
        add_video(page, [record['samples'] / column / f'{number:02d}.mp4' for column in COLUMNS], caption, labels)
    page.text(f'Motion and visual quality of all {count} samples, measured as the clips are, with 95 % intervals:')
    page.table(*table_of(record))
    page.text(' '.join(verdicts(record)))
    page.text(f"The intervals are Student's over the {count} samples; differences are paired, sample by sample. They say how far other "
              'captions and noise would move these figures, not what other seeds of the training would do. Below some 64 pixels a side the '
              'finest detail is all that visual quality can measure, and a ragged outline passes for it: trust motion and your eyes.')


def _same(record):
    if 'learned' in (record['law'], record['against']) and record['dropout'] != 'none':
        return 'and the same noise; the learned law also says how often each clip is drawn, so the order of clips differs'
    if record.get('expert') is not None:
        return ("and the same noise; an expert draws a clip as often as the law has it in the expert's part of t, so the order of clips "
                'differs')
    dropout = '' if record['dropout'] == 'none' else ', and quality dropout in both'
    return f'the same clips in the same order, the same noise{dropout}'


def table_of(record):
    """(rows, heading): means with intervals of both measures before training and by both laws, and the paired difference of the laws."""
    ours, theirs = name_of(record['law']), name_of(record['against'])
    rows = [[word, *(str(mean_of(record[column][measure])) for column in COLUMNS), str(_difference(record, measure)),
             f'{np.mean(record["data"][measure]):.3g}'] for measure, word in MEASURES.items()]
    return rows, ['mean of', 'before training', theirs, ours, f'{ours} − {theirs}', 'the data']


def verdicts(record):
    """A sentence for each measure: the samples of which law have more of it, or that they cannot tell; and that each law trained once."""
    ours, theirs = name_of(record['law']), name_of(record['against'])
    return [*(_verdict(word, _difference(record, measure), ours, theirs) for measure, word in MEASURES.items()),
            'This is of one training by each law: another seed would give other figures.']


def _difference(record, measure):
    return paired(record['run'][measure], record['second'][measure])


def _verdict(word, difference, ours, theirs):
    if not difference.sign:
        why = 'one has no interval' if difference.count == 1 else f'the difference is {difference}'
        return f'{word.capitalize()} of {ours} and {theirs} cannot be told apart at {counted(difference.count, "sample")}: {why}.'
    more, by = ('more', difference) if difference.sign > 0 else ('less', -difference)
    return f'The samples of {ours} have {more} {word} than those of {theirs}: by {by}, {difference.count} of each.'
