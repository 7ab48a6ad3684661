"""Which rows compare: those of one version of the scorer, and of one tool on each axis. Ranks over two scales mean nothing."""
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.scoring.measures import VERSION
from transfer_jax.runtime.errors import UserError

GIVEN = 'given'  # the version of a row of which nothing was measured
MARK = ',given='  # in a version, before an axis that was given
OBJECTS = ',camera=False'  # in a version, last before the marks: motion without the camera's; a formula of the same measures


def is_ours(table):
    """Whether a table is one that write_scores wrote."""
    return 'scorer_version' in table.column_names


def is_scored(table):
    """Whether a table of read_clips is one that write_scores wrote, so that nothing needs to be measured again."""
    if not {'motion', 'visual', 'id', 'width', 'height', 'fps', 'duration', 'scorer_version', 'reason'} <= set(table.column_names):
        return False
    return table['width'].null_count <= len(table) - table['reason'].null_count


def imported_axes(table):
    """The axes, a set of 'motion' and 'visual', whose scores come with the clips.

    Raises UserError where that is not the same for all clips.
    """
    own = {'motion', 'visual'} & set(table.column_names)
    if not is_ours(table):
        return own
    sets = {_axes(text) if text else frozenset(own) for text in pc.unique(table['scorer_version']).to_pylist()}
    if len(sets) > 1:
        raise UserError('some clips have scores of another tool (their scorer_version says "given"), and some of this one: ranks over two '
                        'scales mean nothing; give --scores for all clips or for none')
    return set(*sets)


def version_for(table, version, *, any_settings):
    """The version that all rows of a table are to have: `version`, or with any_settings the table's own one if it is this scorer's."""
    versions = versions_of(table) if is_scored(table) else []
    ours = any_settings and len(versions) == 1 and versions[0].split(',')[0] == VERSION
    return versions[0] if ours else version


def is_foreign(table, version):
    """bool [N]: the rows that must be measured, since they are not of `version`; whether the camera's motion counts is no measure."""
    return _differs(table, version.removesuffix(OBJECTS), lambda text: text.removesuffix(OBJECTS))


def is_recast(table, version):
    """bool [N]: the rows whose motion has another formula than `version` says, or which must be measured."""
    return _differs(table, version, lambda text: text)


def formula_version(version, *, camera):
    """The version of rows measured by `version`, with the camera's motion in the score or without."""
    return version if camera else f'{version}{OBJECTS}'


def counts_camera(version):
    """Whether the camera's motion counts in the score of rows of a version."""
    return not version.split(MARK)[0].endswith(OBJECTS)


def with_version(text, version):
    """A row's version `text`, its marks kept and all else as in `version`."""
    return ''.join([version, *(f'{MARK}{axis}' for axis in text.split(MARK)[1:])])


def _differs(table, version, stripped):
    if not is_scored(table):
        return np.ones(len(table), bool)
    texts = pc.unique(table['scorer_version'])
    own = texts.filter(pa.array([bool(text) and stripped(text.split(MARK)[0]) == version for text in texts.to_pylist()], pa.bool_()))
    return ~pc.is_in(table['scorer_version'], value_set=own).to_numpy()


def marked(rows, axes):
    """Rows of measured clips whose `axes` are given: their version says so."""
    marks = ''.join(f'{MARK}{axis}' for axis in sorted(axes))
    return (row | {'scorer_version': f'{row["scorer_version"]}{marks}'} for row in rows) if marks else rows


def marked_table(table, axes):
    """A table of written rows of which another tool gave the `axes`: each version says so once. Other tables stay as they are."""
    if not is_ours(table):
        return table
    place, versions = table.column_names.index('scorer_version'), table['scorer_version']
    for axis in sorted(axes):
        done = pc.or_(pc.equal(versions, GIVEN), pc.match_substring(versions, f'{MARK}{axis}'))
        versions = pc.if_else(done, versions, pc.binary_join_element_wise(versions, f'{MARK}{axis}', ''))
    return table.set_column(place, 'scorer_version', versions)


def versions_of(table):
    """The versions of a table's rows, without marks, sorted."""
    return sorted({text.split(MARK)[0] for text in pc.unique(table['scorer_version']).to_pylist() if text})


def _axes(version):
    return frozenset(('motion', 'visual') if version == GIVEN else version.split(MARK)[1:])
