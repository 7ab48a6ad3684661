"""Study 1 without training: the order of its runs, values that it refuses, and its page from results with known effects."""
import dataclasses
import importlib

import numpy as np
import pytest
from matplotlib.figure import Figure
from study_small import ARMS, config

from benchmarks.studies import __main__ as program
from benchmarks.studies.claims import tqd as table
from benchmarks.studies.config import SCHEMAS, TableConfig, schema_of
from benchmarks.studies.pages import figures, page, tqd_tables
from benchmarks.studies.pages.statistics import Estimate
from benchmarks.studies.pages.tqd_values import MEASURES
from benchmarks.studies.training.rows import Row
from configs.studies import table as shipped_table
from transfer_jax.runtime.config import instance, override, to_json
from transfer_jax.runtime.errors import UserError


def test_rows_come_followed_first_and_seed_by_seed():
    calls = table.plan_rows(ARMS, ('finetune', 'scratch'), (5, 6))
    assert [(call[0].regime, call[0].follow, len(call)) for call in calls] == [
        ('pretrain', True, 2), ('finetune', True, 2), ('finetune', False, 4), ('scratch', True, 2), ('scratch', False, 4)]
    assert [(row.arm, row.seed, row.plan) for row in calls[2]] == [(arm, seed, ARMS.index(arm)) for seed in (5, 6)
                                                                   for arm in ('A uniform', 'B tqd')]
    assert [call[0].regime for call in table.plan_rows(['A tqd'], ('scratch',), (0,))] == ['scratch']
    assert Row(regime='scratch', arm='A kappa 4', plan=0, seed=3).name == 'scratch/A_kappa_4/seed3'


@pytest.mark.parametrize(('changes', 'message'), [
    ({'size': 'huge'}, r"config.size = 'huge'; allowed: one of small, smoke, tiny, tiny_5000, tiny_long"),
    ({'seeds': (1, 1)}, r'config.seeds = \(1, 1\) names one twice'),
    ({'arms': ('A tqd', 'A tqd')}, r"config.arms = \('A tqd', 'A tqd'\) names one twice"),
    ({'sizes.smoke.scratch': 9}, r'config.sizes.smoke.scratch = 9 is not a multiple of every = 4'),
    ({'sizes.smoke.samples': 6}, r'config.sizes.smoke.samples = 6 is not a multiple of sample_batch = 4'),
    ({'sizes.smoke.patch': (3, 4, 4)}, r'config.sizes.smoke: a video of 8 frames, 16 x 16 cannot be cut'),
    ({'sizes.smoke.size': 24}, r'config.sizes.smoke.size = 24 is not a multiple of 16'),
    ({'sizes.smoke.frames': 12}, r'config.sizes.smoke.frames = 12 is not a multiple of 8'),
    ({'sizes.smoke.head_dim': 7}, r'config.sizes.smoke: head_dim must be even')])
def test_values_that_do_not_fit_are_refused_before_anything_runs(changes, message):
    with pytest.raises(UserError, match=message):
        table.main(config(**changes), '/nowhere')


def test_the_program_finds_its_study_and_its_schema():
    assert program.STUDIES.keys() == SCHEMAS.keys() and schema_of(shipped_table.get_config()) is TableConfig
    with pytest.raises(UserError, match=r"config.study = 'tables'; allowed: one of table"):
        schema_of({'study': 'tables'})
    with pytest.raises(UserError, match=r"config.arms = \('A',\); allowed: a tuple of one or more of: one of A uniform, .*, or None"):
        config(arms=('A',))


@pytest.mark.parametrize(('name', 'old', 'new'), [('table', 'sizes.tiny.lanes', 'sizes.tiny.replicas'),
                                                  ('align', 'buckets', 'bins'), ('learned', 'buckets', 'bins'),
                                                  ('learned', 'pilot', 'probe')])
def test_an_old_key_gets_its_new_name(name, old, new):
    shipped = importlib.import_module(f'configs.studies.{name}').get_config()
    with pytest.raises(UserError, match=f'^config.{old} was renamed: write config.{new}$'):
        override(instance(schema_of(shipped), shipped), {old: 3})


def test_every_size_of_the_config_fits():
    for name in config().sizes:
        table.check(config(size=name))
    folders = {str(table.folder(config(), 'w')), str(table.folder(config(seeds=(7,)), 'w'))}
    assert len(folders) == 1 and str(table.folder(config(**{'sizes.smoke.batch': 5}), 'w')) not in folders
    assert str(table.folder(config(**{'sizes.smoke.replicas': 3}), 'w')) in folders, 'how many at once changes no result'


def made_up(effect):
    """Results of five seeds where B tqd moves right more often than A uniform by `effect`, and all else is noise that seeds share."""
    rng, runs = np.random.default_rng(0), []
    for seed in range(5):
        shared = rng.random()
        for arm in ('A uniform', 'B tqd'):
            measures = {key: shared + 1e-3 * rng.standard_normal() for key in MEASURES if key != 'loss'}
            measures['moves_right'] = shared + (arm == 'B tqd') * effect + 1e-3 * rng.standard_normal()
            runs.append({'regime': 'scratch', 'arm': arm, 'seed': seed, 't_histogram': [5] * 10 + [15] * 10,
                         'curve': [{'loss': [1.0] * 10, 'measures': measures}]})
    return {'seeds': list(range(5)), 'arms': {'A uniform': {}, 'B tqd': {}}, 'runs': runs}


@pytest.mark.parametrize(('effect', 'expected'), [(0.1, 'holds'), (-0.1, 'is refuted')])
def test_claims_are_decided_by_paired_differences(effect, expected):
    lines = tqd_tables.claims(made_up(effect), 'scratch')
    rows = [line.strip('| ').split(' | ') for line in lines if '(B) beats uniform training on all' in line]
    verdicts = {row[1]: row[-1] for row in rows}
    assert verdicts['moves right'] == expected and verdicts['both right'] == 'undecided'
    row = next(line for line in tqd_tables.differences(made_up(effect), 'scratch') if line.startswith('| B tqd'))
    assert abs(float(row.split(' | ')[1].split(' ')[0])) < 2e-3  # both right: no effect
    assert tqd_tables.coverage(made_up(effect), 'scratch', 'B tqd') == '12, 50, 38 %'


def test_the_same_arms_later_are_set_beside_those_with_as_many_steps():
    size = to_json(config().sizes['tiny'])
    early = made_up(0.1) | {'size': 'early', 'regimes': ['scratch'], 'config': size | {'scratch': 5000}}
    late = made_up(0.4) | {'size': 'late', 'regimes': ['finetune'], 'config': size}
    for run in late['runs']:
        run['regime'] = 'finetune'
        run['curve'][-1]['measures']['motion'] += 0.1
    lines = tqd_tables.late_start(early, [early, late])
    assert '4000 uniform steps on A and then 1000 of the arm (size late) against 5000 of the arm' in lines[2]
    verdicts = {tuple(line.strip('| ').split(' | ')[i] for i in (0, 1)): line.strip('| ').split(' | ')[-1] for line in lines[6:-1]}
    assert len(verdicts) == 8 and verdicts['B tqd', 'motion'] == 'holds' and verdicts['A uniform', 'texture'] == 'undecided'
    other = late | {'config': late['config'] | {'batch': 8}}
    assert tqd_tables.late_start(early, [early, other]) == tqd_tables.late_start(late, [early, late]) == []


def test_cells_and_sheets():
    known = Estimate(mean=0.1234, low=0.1, high=0.15, t_low=0.0, t_high=0.2)
    assert page.cell(known) == '0.123 [0.100, 0.150]' and page.cell(known, 2, sign=True) == '+0.12 [+0.10, +0.15]'
    assert page.cell(dataclasses.replace(known, low=np.nan)) == '0.123' and page.cell(dataclasses.replace(known, mean=np.nan)) == '—'
    assert page.student(known) == '[+0.000, +0.200]' and page.student(dataclasses.replace(known, t_low=np.nan)) == '—'
    assert page.table(['a', 'b'], [['1', '2']]) == ['| a | b |', '|---|---|', '| 1 | 2 |']
    clips = np.arange(2 * 8 * 2 * 3, dtype=np.uint8).reshape(2, 8, 2, 3, 1).repeat(3, -1)
    picture = figures.sheet({'one': clips, 'two': clips}, frames=4, scale=1)
    assert picture.shape == (2 * (2 + 2), 2 * (4 * 3 + 2), 3)
    np.testing.assert_array_equal(picture[:2, 3:6], clips[0, 2])  # frames 0, 2, 5, 7
    assert isinstance(figures.intervals(['a'], {'one': [dataclasses.replace(known, low=np.nan, high=np.nan)]}), Figure)


def test_pictures_cut_nothing_off_and_name_every_line():
    for axes in figures.histograms({'flat': [5] * 20, 'steep': [0] * 19 + [5]}).axes[:2]:
        assert axes.get_ylim() == (0, 21)  # the density of all draws in a twentieth is 20
    x, named = [0.0, 1.0], lambda *names: {name: [[1, 2], [3, 4]] for name in names}
    legends = lambda panels: [axes.get_legend() and [text.get_text() for text in axes.get_legend().get_texts()]
                              for axes in figures.curves(x, panels, 't').axes]
    assert legends({'one': named('a', 'b'), 'two': named('c', 'd')}) == [['a', 'b'], ['c', 'd']]
    assert legends({'one': named('a', 'b'), 'two': named('a', 'b')}) == [None, ['a', 'b']]
