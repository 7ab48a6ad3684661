"""Studies 2 and 3 without training: the copies, the values they refuse, and their pages from results with known effects."""
import types

import jax
import numpy as np
import pytest

from benchmarks.studies.claims import alignment as align
from benchmarks.studies.claims import learned
from benchmarks.studies.config import schema_of
from benchmarks.studies.pages import alignment as align_page
from benchmarks.studies.pages import files, page
from benchmarks.studies.pages import learned as learned_page
from benchmarks.studies.world.world import World
from configs.studies import align as study_align
from configs.studies import learned as study_learned
from tqd_jax.gradients.align import alignment_record
from tqd_jax.gradients.alignment import alignment
from tqd_jax.gradients.products import Products
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError


def config(module, **changes):
    """The study's config at its smallest size."""
    shipped = module.get_config()
    return override(instance(schema_of(shipped), shipped), {'size': 'smoke', **changes})


def test_the_configs_fit_their_studies():
    for module, study in ((study_align, align), (study_learned, learned)):
        study.check(config(module))


@pytest.mark.parametrize(('module', 'study', 'changes', 'message'), [
    (study_align, align, {'clips': 130}, 'config.clips = 130 is no multiple of config.chunks = 16'),
    (study_align, align, {'seeds': (1, 1)}, 'names one twice'), (study_align, align, {'size': 'huge'}, "config.size = 'huge'"),
    (study_learned, learned, {'arms': ('C uniform',)}, r"config\.arms = \('C uniform',\) has no arm on all clips or on imbalanced ones"),
    (study_learned, learned, {'bins': 7}, 'does not divide 120'),
    (study_learned, learned, {'chunks': 7}, r'config\.chunks = 7 is odd'),
    (study_learned, learned, {'seeds': (1, 1)}, 'names one twice')])
def test_values_that_do_not_fit_are_named(module, study, changes, message):
    with pytest.raises(UserError, match=message):
        study.check(config(module, **changes))


def test_every_learned_run_has_the_law_of_its_own_seed_and_gram(monkeypatch):
    """By laws that give all draws of one seed and gram to one group: the plan of a row accepts the clips of that group alone."""
    labels, calls_of, made = np.array([0, 0, 1, 1, 2, 2, 3, 3]), {}, config(study_learned, seeds=(5, 6), arms=('A uniform', 'C uniform'))
    laws = [{'shares': {key: np.eye(4)[[2 * place + number]].repeat(10, 0).tolist() for number, key in enumerate(('gram', 'plug_in'))}}
            for place in range(2)]
    monkeypatch.setattr(learned, 'clip_groups', lambda clips, least: (['a', 'b', 'c', 'd'], labels))
    monkeypatch.setattr(learned, 'plan', lambda arm, clips: arm)
    monkeypatch.setattr(learned.table, 'run_calls', lambda study, calls, plans, *_: calls_of.update(calls=calls, plans=plans))
    study = types.SimpleNamespace(clips=None, material=lambda plans: plans, store=types.SimpleNamespace(record=lambda name: {'name': name}))
    records = learned.train(study, made, laws, None, None)
    rows = {(row.arm.rsplit(' ', 1)[0] if 'learned' in row.arm else row.arm, row.seed): row for call in calls_of['calls'] for row in call}
    assert len(rows) == 8 == len(records) and {one['arm'] for one in records} == {'A uniform', 'C uniform', *learned.LEARNED}
    for (arm, seed), row in rows.items():
        if arm in learned.LEARNED:
            group = 2 * (seed - 5) + list(learned.LEARNED).index(arm)
            assert set(labels[np.flatnonzero(calls_of['plans'][row.plan].acceptance)]) == {group}


def test_moments_are_steps_with_saved_weights():
    size = config(study_align).sizes['tiny']
    assert align.steps_of(size, (0.125, 0.5, 1.0)) == [500, 2000, 4000] and align.steps_of(size, (0.001, 0.01)) == [500]


def test_copies_are_worse_in_one_thing_only():
    frames, tokens = align.worse_copies(World(clips=8), config(study_align, clips=4))
    copies = dict(zip(align.COPIES, np.split(frames, len(align.COPIES)), strict=True))
    moving = lambda clips: np.abs(np.diff(clips.astype(float), axis=1)).mean()
    detail = lambda clips: np.abs(np.diff(clips.astype(float), axis=3)).mean()
    assert moving(copies['slow']) < 0.3 * moving(copies['golden'])
    assert detail(copies['slow']) == pytest.approx(detail(copies['golden']), rel=0.2)
    assert detail(copies['blur']) < 0.7 * detail(copies['golden']) and moving(copies['drops']) < moving(copies['golden'])
    np.testing.assert_array_equal(copies['visual'][0], copies['blur'][0])
    np.testing.assert_array_equal(tokens[:4], tokens[4:8])


def made_up_alignment(seed):
    """A record in which worse visual quality agrees with golden clips at noisy t and worse motion at clean t, with a little noise."""
    rng, count = np.random.default_rng(seed), len(align.COPIES)
    angle = np.full((4, count), 0.5)
    angle[:, 0], angle[:, 1], angle[:, 2] = 0, [0.2, 0.4, 0.8, 1.0], [1.0, 0.8, 0.4, 0.2]
    means = np.stack([np.cos(angle), np.sin(angle)], -1)
    vectors = means[None, :, None] + 0.02 * rng.standard_normal((8, 4, 1, count, 2))
    own = np.einsum('kblsi,kblri->kblsr', vectors, vectors)
    cross = np.einsum('kblsi,blri->kblsr', vectors, vectors.sum(0))
    return {'examples': 2, 'chunks': 8, 'layers': ['all'], **alignment_record(alignment(Products(cross=cross, own=own)), 4)}


def test_the_page_of_alignment_shows_where_the_curves_cross(tmp_path):
    records = [made_up_alignment(seed) for seed in (0, 1)]
    assert records[0]['summary']['expected']['verdict'] == 'holds'
    assert records[0]['summary']['expected']['crossings'] == pytest.approx([0.5], abs=0.02)
    records[1] = jax.tree.map(lambda x: x, records[1])
    records[1]['expected']['cosine'][0][0][0] = None  # no value in one seed
    settings = {key: 8 for key in ('clips', 'chunks', 'bins', 'draws', 'severity', 'speed')}
    path = align_page.write_page(tmp_path, {
        'size': 'smoke', 'config': {'size': 16, 'frames': 8}, 'settings': settings, 'machine': 'one', 'copies': list(align.COPIES),
        'seeds': [0, 1], 'moments': {'500': records}})
    text = path.read_text()
    assert '2 of 2 seeds' in text and '| 0.50 / 0.50 |' in text and '0.980' in text
    expected = text[text.index('### The expected'):text.index('### Every degradation')]
    motion = next(line for line in expected.splitlines() if line.startswith('| 500 | worse motion'))
    assert motion.split('|')[3].strip() == f'{np.cos(0.2):.3f} (1)' and motion.count('(') == 1, 'one seed has no value in its first bin'
    assert all(text.count(f'| 500 | {kind} | ') == 2 for kind in align.COPIES[1:]), 'once for each cosine'
    assert all((tmp_path / f'alignment_smoke_{name}.png').exists() for name in ('matched', 'expected', 'groups'))


def made_up_law():
    run = lambda arm, seed: {'regime': 'finetune', 'arm': arm, 'seed': seed, 't_histogram': [5] * 20, 'curve': [{
        'step': 4, 'loss': [0.1 + 0.1 * (arm != 'learned') * (1 + 0.1 * seed) + 0.01 * seed] * 10,
        'measures': {key: 0.5 + 0.1 * (arm == 'learned') + 0.01 * seed for key in learned_page.MEASURES if key != 'loss'}}]}
    arms = ('A uniform', 'A tqd', 'learned', 'learned, plug-in')
    law = {'groups': ['golden', 'slow', 'slow blur'], 'counts': [10, 20, 10], 'rho': [0.2, 0.3], 'error': [[0.1] * 3] * 2,
           'step': 4, 'shares': {'gram': [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], 'plug_in': [[0.4, 0.3, 0.3]] * 2}}
    return {'size': 'smoke', 'world': 'detail', 'config': {}, 'settings': {'probe': 1.0}, 'laws': [law] * 3, 'machine': 'one',
            'runs': [run(arm, seed) for arm in arms for seed in (0, 1, 2)], 'arms': {arm: {} for arm in arms}, 'regimes': ['finetune'],
            'seeds': [0, 1, 2]}


def test_the_page_of_the_learned_law_says_by_how_much_it_wins(tmp_path):
    t, panels, _ = learned_page.weights(made_up_law())
    np.testing.assert_allclose(panels['weight of a clip']['golden'], [[2, 4]] * 3)
    np.testing.assert_allclose(panels['slow blur']['slow blur'], 0)
    assert t.tolist() == [0.25, 0.75]
    text = learned_page.write_page(tmp_path, made_up_law()).read_text()
    loss = next(line for line in text.splitlines() if line.startswith('| loss on golden | A tqd'))
    assert '-0.11000 [-0.12000, -0.10000] | [-0.13484, -0.08516] | holds' in loss  # 0.01 t / sqrt(3), t = 4.3027
    assert (tmp_path / 'learned_smoke_detail.png').exists() and '0.500 ± 0.100' in text


def test_a_file_of_another_size_that_cannot_be_read_is_named_and_costs_nothing(tmp_path):
    (tmp_path / 'learned_huge_all.json').write_text('{"size": "hu')
    with pytest.raises(UserError, match=r'learned_huge_all\.json cannot be read .* restore or remove it'):
        learned_page.write_page(tmp_path, made_up_law())
    assert (tmp_path / 'learned_smoke_detail.json').exists()
    (tmp_path / 'learned_huge_all.json').unlink()
    assert learned_page.write_page(tmp_path, made_up_law()).exists()


def test_the_command_of_a_page_has_every_flag():
    flags = {'size': 'smoke', 'sizes.smoke.batch': '99', 'seeds': '(0, 1)'}
    assert page.command('align', {'flags': flags}, {'size': 'smoke'}) == (
        'python -m benchmarks.studies --config=configs/studies/align.py --config.size=smoke '
        '--config.sizes.smoke.batch=99 "--config.seeds=(0, 1)"')
    assert page.command('align', {}, {'size': 'tiny'}) == (
        'python -m benchmarks.studies --config=configs/studies/align.py --config.size=tiny')


def test_results_keep_seven_digits_and_all_else():
    found = files.rounded({'a': [1.23456789e-9, None, 3, True, 'x'], 'b': {'c': (1 / 3,)}})
    assert found == {'a': [1.234568e-9, None, 3, True, 'x'], 'b': {'c': [0.3333333]}} and found['a'][3] is True
