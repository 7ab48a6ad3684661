"""Groups of the study's clips, and the plan of a learned law."""
import types

import numpy as np

from benchmarks.studies.training import groups


def test_groups_are_named_without_any_score():
    flags = {'golden': [1, 0, 0, 0, 0], 'visual_only': [0, 1, 0, 0, 0], 'motion_only': [0, 0, 1, 1, 0], 'poor': [0, 0, 0, 0, 1]}
    clips = types.SimpleNamespace(degradation=np.array([0, 1, 0, 4, 1]), **{key: np.array(x, bool) for key, x in flags.items()})
    names, labels = groups.clip_groups(clips)
    assert names == ('golden', 'slow', 'blur', 'colour', 'slow noise')
    assert labels.tolist() == [0, 1, 2, 3, 4]
    names, labels = groups.clip_groups(clips, min_clips=2)
    assert names == ('golden', 'slow', 'degraded', 'slow degraded') and labels.tolist() == [0, 1, 2, 2, 3]


def test_a_plan_draws_each_group_as_often_as_its_share_says():
    q, labels = np.array([[0.2, 0.8], [0.7, 0.3]]), np.repeat([0, 1], [30, 10])
    plan = groups.learned_plan(q, ('a', 'b'), labels)
    np.testing.assert_allclose(np.bincount(labels, plan.acceptance) / plan.acceptance.sum(), q.mean(0), rtol=1e-6)
    assert plan.acceptance.dtype == np.float32 and plan.law.table.shape[0] == 40
