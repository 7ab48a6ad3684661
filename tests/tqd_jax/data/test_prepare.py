"""Training's scores.parquet comes from the scorer's own engine: one version of the scorer, one pair of scales, one library of ranks."""
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import small
from score_job import measured_paths

from tqd_jax.data.prepare import prepare
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.normaliser import Normaliser
from transfer_jax.runtime.errors import UserError

MIXED = 'web={0}/web/scores.parquet,studio={0}/studio/scores.parquet'


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Four clips of two sources."""
    folder = tmp_path_factory.mktemp('clips')
    small.moving(folder / 'web', ['4.mp4', '5.mp4'])
    small.moving(folder / 'studio', ['0.mp4', '1.mp4', '2.mp4', '3.mp4'])
    return folder


def data(clips, **changes):
    return small.config(**{'data.clips': str(clips), **{f'data.{key}': value for key, value in changes.items()}}).data


def read(workdir):
    return pa.parquet.read_table(workdir / 'scores.parquet')


def changed(workdir, **columns):
    """The folder's table with other columns, {name: function of the old values}."""
    table = read(workdir)
    for name, change in columns.items():
        old = table[name].to_pylist() if name in table.column_names else [None] * len(table)
        table = table.drop_columns([name] if name in table.column_names else []).append_column(name, [list(map(change, old))])
    pa.parquet.write_table(table, workdir / 'scores.parquet')


@pytest.fixture
def tables(clips, tmp_path):
    """A folder with a scores.parquet for each of the two sources."""
    for name in ('web', 'studio'):
        (tmp_path / name).mkdir()
        prepare(data(clips / name), tmp_path / name, seed=0)
    return tmp_path


def prepared(tables, spec=MIXED, **changes):
    run = tables / 'run'
    run.mkdir()
    prepare(data(spec.format(tables), **changes), run, seed=0)
    return read(run)


def test_rows_of_another_scorer_version_are_measured_again_and_no_others(clips, tables, monkeypatch):
    true = [value for name in ('web', 'studio') for value in read(tables / name)['motion'].to_pylist()]
    changed(tables / 'studio', scorer_version=lambda _: '3', motion=lambda value: 1000 * value)
    measured = measured_paths(monkeypatch)
    table = prepared(tables)
    assert set(table['scorer_version'].to_pylist()) == {VERSION} and table['motion'].to_pylist() == true
    assert measured == [str(clips / f'studio/{i}.mp4') for i in range(4)]
    np.testing.assert_array_equal(table['mq'].to_numpy(), Normaliser.fit(true)(true))


def test_rows_of_another_version_whose_clips_are_gone_are_refused(clips, tables):
    changed(tables / 'studio', scorer_version=lambda _: '3', clip=lambda path: path.replace('/3.mp4', '/gone.mp4'))
    message = r'4 clips .* scorer version 3, .* must be measured again by version .*, and 1 of them is not there: .*gone'
    with pytest.raises(UserError, match=message) as caught:
        prepared(tables)
    assert '\n' not in str(caught.value)


def test_a_table_of_other_settings_of_this_scorer_is_taken_as_it_stands(tables, monkeypatch):
    changed(tables / 'studio', scorer_version=lambda _: f'{VERSION},flow=farneback', mq=lambda _: 0.25)
    measured = measured_paths(monkeypatch)
    table = prepared(tables, '{}/studio/scores.parquet')
    assert not measured and set(table['mq'].to_pylist()) == {0.25}
    assert set(table['scorer_version'].to_pylist()) == {f'{VERSION},flow=farneback'}


def test_ranks_of_two_libraries_are_not_ranks_of_both(tables, monkeypatch):
    measured = measured_paths(monkeypatch)
    table = prepared(tables)
    assert not measured
    for raw, rank in (('motion', 'mq'), ('visual', 'vq')):
        values = table[raw].to_numpy()
        np.testing.assert_array_equal(np.argsort(table[rank].to_numpy(), kind='stable'), np.argsort(values, kind='stable'))


@pytest.mark.parametrize('version', ['given', f'{VERSION},given=visual'])
def test_scores_of_another_tool_are_never_ranked_with_ours(tables, version):
    changed(tables / 'studio', scorer_version=lambda _: version)
    with pytest.raises(UserError, match='some clips have scores of another tool'):
        prepared(tables)


def test_scores_of_the_user_stay_when_a_runs_table_is_measured_again(clips, tables, tmp_path):
    rows = [{'clip': str(clips / f'studio/{i}.mp4'), 'motion': float(i), 'visual': float(-i)} for i in range(4)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tables / 'own.parquet')
    first = prepared(tables, '{}/own.parquet')
    assert first['motion'].to_pylist() == [0, 1, 2, 3] and first['width'].null_count == 0
    assert set(first['scorer_version'].to_pylist()) == {f'{VERSION},given=motion,given=visual'}
    (tables / 'run').rename(tables / 'first')
    changed(tables / 'first', scorer_version=lambda text: text.replace(VERSION, '3', 1))
    again = prepared(tables, '{}/first/scores.parquet')
    assert again['motion'].to_pylist() == [0, 1, 2, 3] and again['scorer_version'].equals(first['scorer_version'])


def test_the_users_names_are_the_sources(tables):
    changed(tables / 'web', source=lambda _: 'mine')
    table = prepared(tables)
    assert table['source'].to_pylist() == ['web'] * 2 + ['studio'] * 4
    assert table['source_own'].to_pylist() == ['mine'] * 2 + ['clips'] * 4


def test_the_users_names_of_an_earlier_pass_do_not_replace_the_own_sources(tables):
    changed(tables / 'web', source=lambda _: 'mine')
    prepared(tables)
    (tables / 'run').rename(tables / 'first')
    again = prepared(tables, 'all={0}/first/scores.parquet')
    assert set(again['source'].to_pylist()) == {'all'}
    assert again['source_own'].to_pylist() == ['mine'] * 2 + ['clips'] * 4


def test_a_table_of_ours_beside_clips_without_scores_is_measured_with_them(clips, tables):
    table = prepared(tables, f'web={clips}/web,studio={{0}}/studio/scores.parquet')
    true = [value for name in ('web', 'studio') for value in read(tables / name)['motion'].to_pylist()]
    assert table['motion'].to_pylist() == true and set(table['scorer_version'].to_pylist()) == {VERSION}
    np.testing.assert_array_equal(table['mq'].to_numpy(), Normaliser.fit(true)(true))
    assert sorted(table.column_names) == sorted([*read(tables / 'web').column_names, 'source_own'])


def test_scores_of_another_tool_beside_clips_without_scores_are_refused(clips, tables):
    changed(tables / 'studio', scorer_version=lambda _: 'given')
    with pytest.raises(UserError, match='some clips have scores of another tool'):
        prepared(tables, f'web={clips}/web,studio={{0}}/studio/scores.parquet')


def test_a_table_of_ours_beside_mq_and_vq_of_another_tool_is_refused(clips, tables):
    rows = [{'clip': str(clips / f'web/{i}.mp4'), 'mq': 0.5, 'vq': 0.5} for i in (4, 5)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tables / 'own.parquet')
    message = r'^config.data.clips: web=.*own.parquet has mq and vq, and studio=.*scores.parquet does not .*for all sources or for none$'
    with pytest.raises(UserError, match=message):
        prepared(tables, 'studio={0}/studio/scores.parquet,web={0}/own.parquet')


def test_skipped_clips_are_one_line(clips, tmp_path, capsys):
    small.moving(tmp_path / 'clips', [f'{i}.mp4' for i in range(5)])
    prepare(data(tmp_path / 'clips'), tmp_path, seed=0)
    assert 'can be used' not in capsys.readouterr().out
    (tmp_path / 'clips' / 'bad.mp4').write_bytes(b'not a video')
    prepare(data(tmp_path / 'clips'), tmp_path, seed=0)
    assert f'5 of 6 clips can be used; 1 skipped, see {tmp_path / "skipped.jsonl"}\n' in capsys.readouterr().out


@pytest.mark.parametrize('names', [['web'], ['web', 'studio', 'film']])
def test_a_mix_of_other_sources_is_refused_before_a_clip_is_measured(clips, tmp_path, monkeypatch, names):
    measured, mix = measured_paths(monkeypatch), {name: {'rate': 1.0, 'weight': 1.0} for name in names}
    with pytest.raises(UserError, match=r'config\.data\.mix names the sources .* and the clips have .*studio.*web'):
        prepare(data(f'web={clips}/web,studio={clips}/studio', mix=mix), tmp_path, seed=0)
    assert not measured and not (tmp_path / 'scores.parquet').exists()
