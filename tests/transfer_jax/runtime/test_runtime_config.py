"""Every fault of a config is one line that names the key, the value and what is allowed; every good config passes."""
import dataclasses
import functools
import json

import pytest
from ml_collections import ConfigDict, config_dict

from transfer_jax.runtime.config import (
    Each,
    boolean,
    check,
    choice,
    defaults,
    describe,
    differences,
    each,
    free_keys,
    instance,
    integer,
    key,
    mapping,
    number,
    old_names,
    optional,
    override,
    renamed,
    rules,
    section,
    sequence,
    text,
    to_json,
)
from transfer_jax.runtime.config.check import rules_for
from transfer_jax.runtime.errors import UserError

RULES = {
    'seed': integer(at_least=0, at_most=2**32 - 1),
    'init_from': optional(text()),
    'train.steps': integer(at_least=1),
    'train.lr': number(above=0),
    'train.ema': number(at_least=0, below=1),
    'train.remat': boolean(),
    'law.kind': choice('uniform', 'beta'),
    'data.buckets': sequence(sequence(integer(at_least=1), length=3)),
    'data.sources': Each({'rate': number(above=0), 'path': optional(text())}),
}


def good():
    return ConfigDict({
        'seed': 0, 'init_from': config_dict.placeholder(str), 'train': {'steps': 5, 'lr': 1e-3, 'ema': 0.99, 'remat': False},
        'law': {'kind': 'beta'}, 'data': {'buckets': ((64, 48, 8), (48, 64, 8)), 'sources': {'web': {'rate': 1, 'path': 'clips'}}},
    })


def changed(key, value):
    config = good().to_dict()
    *sections, name = key.split('.')
    functools.reduce(dict.__getitem__, sections, config)[name] = value
    return config


def test_good_configs_pass_as_configdict_and_as_dict():
    check(good(), RULES)
    check(good().to_dict(), RULES)
    check(changed('data.sources', {}), RULES)
    check(changed('train.lr', 1), RULES)
    check(changed('seed', 2**32 - 1), RULES)


@pytest.mark.parametrize('key, value', [
    ('train.steps', 0), ('train.steps', 1.0), ('train.steps', True), ('train.steps', '5'), ('train.steps', None),
    ('train.lr', 0), ('train.lr', float('nan')), ('train.lr', float('inf')), ('train.lr', False), ('train.lr', '1e-3'),
    ('train.ema', 1), ('train.ema', -1e-9), ('seed', 2**32), ('train.remat', 1), ('train.remat', 'true'),
    ('law.kind', 'betta'), ('law.kind', None), ('init_from', ''), ('init_from', 3),
    ('data.buckets', ()), ('data.buckets', ((1, 2),)), ('data.buckets', 'abc'), ('data.buckets', ((1, 2, 0),)),
    ('data.sources', 3), ('data.sources.web.rate', -1), ('data.sources.web.path', 1.5),
])
def test_a_bad_value_names_key_value_and_what_is_allowed(key, value):
    with pytest.raises(UserError) as caught:
        check(changed(key, value), RULES)
    message = str(caught.value)
    assert f'config.{key} = {value!r}; allowed: ' in message and '\n' not in message


@pytest.mark.parametrize('key, value, words', [
    ('train.stpes', 5, 'did you mean config.train.steps?'),
    ('steps', 5, 'did you mean config.train.steps?'),
    ('data.sources.web.raet', 1, 'did you mean config.data.sources.web.rate?'),
    ('train.wibble', 1, 'allowed: train.steps, train.lr, train.ema, train.remat'),
    ('quux', {'a': 1}, 'allowed: data, init_from, law, seed, train'),
    ('train', 3, 'allowed: a section with the keys train.steps, train.lr'),
])
def test_an_unknown_key_gets_a_suggestion(key, value, words):
    with pytest.raises(UserError, match=key) as caught:
        check(changed(key, value), RULES)
    assert words in str(caught.value)


def test_an_old_key_gets_its_new_name():
    renamed = {'train.speed': 'train.lr', 'rounds': 'train.steps', 'train.gone': 'elsewhere'}
    config = good().to_dict()
    config['train']['speed'] = config['train'].pop('lr')
    with pytest.raises(UserError, match=r'^config\.train\.speed was renamed: write config\.train\.lr$'):
        check(config, RULES, renamed)
    with pytest.raises(UserError, match=r'^config\.rounds was renamed: write config\.train\.steps$'):
        check({**good().to_dict(), 'rounds': 5}, RULES, renamed)
    with pytest.raises(UserError, match='there is no such key'):  # the other mode of a job has no rule for the new name
        check(changed('train.gone', 1), RULES, renamed)
    assert old_names(config, RULES, renamed) == ['train.speed is now train.lr'] and old_names(good(), RULES, renamed) == []


def test_an_old_key_of_a_section_that_the_user_names_gets_its_new_name():
    sources = {'data.sources': Each({'rate': number(above=0)}, {'speed': 'rate'})}
    config = {'data': {'sources': {'web': {'speed': 1}}}}
    with pytest.raises(UserError, match=r'^config\.data\.sources\.web\.speed was renamed: write config\.data\.sources\.web\.rate$'):
        check(config, sources)
    assert old_names(config, sources) == ['data.sources.web.speed is now data.sources.web.rate']


def test_missing_keys_are_named():
    for absent in ('train.ema', 'law.kind', 'data.sources'):
        config = good().to_dict()
        section, name = absent.split('.')
        del config[section][name]
        with pytest.raises(UserError, match=f'config.{absent} is missing; allowed: '):
            check(config, RULES)
    with pytest.raises(UserError, match=r'config\.data\.sources\.web\.rate is missing'):
        check(changed('data.sources', {'web': {'path': None}}), RULES)


def test_json_and_differences():
    stored = json.loads(json.dumps(to_json(good())))
    assert stored['data']['buckets'] == [[64, 48, 8], [48, 64, 8]]
    assert differences(stored, good()) == []
    assert differences(good(), changed('train.steps', 7)) == ['train.steps: 5 -> 7']
    assert differences(stored, changed('data.sources', {})) == [
        'data.sources.web.path: \'clips\' -> (absent)', 'data.sources.web.rate: 1 -> (absent)', 'data.sources: (absent) -> {}']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A source."""
    rate: float = key(1.0, number(above=0), 'how often it is drawn', renamed_from='speed')
    path: str | None = key(None, optional(text()), 'a folder')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Training.

    More about it.
    """
    steps: int = key(5, integer(at_least=1), 'updates', free=True, renamed_from='rounds')
    size: tuple = key((1, 2), sequence(integer(), length=2), 'width | height')
    costs: dict = key({}, mapping('source', number(above=0)), 'of a sample')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All."""
    seed: int = key(0, integer(at_least=0), 'of all that is random')
    sources: dict = each(Source, {'web': Source(rate=2.0)}, 'where clips are from')
    train: Train = section(Train)
    mesh: Train = section(Train, free=True)


def test_a_schema_says_once_what_rules_defaults_and_free_keys_are():
    assert [*rules(Config)] == ['seed', 'sources', 'train.steps', 'train.size', 'train.costs', 'mesh.steps', 'mesh.size', 'mesh.costs']
    assert rules(Config)['train.steps'].allowed == 'an integer, at least 1'
    assert free_keys(Config) == ('train.steps', 'mesh.steps', 'mesh.size', 'mesh.costs')
    assert renamed(Config) == {'train.rounds': 'train.steps', 'mesh.rounds': 'mesh.steps'}
    train = {'steps': 5, 'size': (1, 2), 'costs': {}}
    made = {'seed': 0, 'sources': {'web': {'rate': 2.0, 'path': None}}, 'train': train, 'mesh': train}
    assert defaults(Config).to_dict() == made and instance(Config, defaults(Config)) == Config()
    assert to_json(Config()) == json.loads(json.dumps(made)) and differences(Config(), defaults(Config)) == []


def test_two_instances_share_no_dict():
    one, other = Config(), Config()
    assert one.train.costs is not other.train.costs and one.sources is not other.sources
    defaults(Config).train.costs['web'] = 1.0
    assert Config().train.costs == {}


def test_an_instance_is_checked_and_frozen():
    config = defaults(Config)
    config.train.steps, config.train.size, config.train.costs = 7, [3, 4], {'web': 2}
    config.sources = {'web': {'rate': 1, 'path': 'a'}, 'own': {'rate': 0.5, 'path': None}}
    made = instance(Config, config)
    assert made == Config(train=Train(steps=7, size=(3, 4), costs={'web': 2}),
                          sources={'web': Source(rate=1, path='a'), 'own': Source(rate=0.5)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.train.steps = 8
    for name, value, words in (('steps', 1.5, 'config.train.steps = 1.5; allowed: an integer'),
                               ('costs', {'a': 0}, "config.train.costs = {'a': 0}; allowed: {source: a number, above 0}"),
                               ('stpes', 3, 'did you mean config.train.steps?')):
        config = defaults(Config)
        config.train[name] = value
        with pytest.raises(UserError) as error:
            instance(Config, config)
        assert words in str(error.value)


def test_keys_of_a_schema_are_overridden_by_their_dotted_names():
    made = override(Config(), {'train.steps': 9, 'sources.own.rate': 3, 'sources.own.path': None})
    assert made.train == Train(steps=9) and made.sources == {'web': Source(rate=2.0), 'own': Source(rate=3)}
    for name, words in (('train.rounds', 'config.train.rounds was renamed: write config.train.steps'),
                        ('sources.web.speed', 'config.sources.web.speed was renamed: write config.sources.web.rate'),
                        ('tarin.steps', 'did you mean config.train.steps?')):
        with pytest.raises(UserError) as error:
            override(Config(), {name: 1})
        assert words in str(error.value)


def test_a_schema_is_described_key_by_key():
    lines = describe(Config).splitlines()
    assert '| `seed` | `0` | an integer, at least 0 | of all that is random |  |' in lines
    assert '| `sources` | `{web}` | a dict of sections, NAME chosen by you | where clips are from |  |' in lines
    assert '| `sources.NAME.rate` | `1.0` | a number, above 0 | how often it is drawn |  |' in lines
    assert '| `train.steps` | `5` | an integer, at least 1 | updates | may change it |' in lines
    assert '| `train.size` | `(1, 2)` | a tuple of 2 of: an integer | width \\| height |  |' in lines
    assert '| `mesh.size` | `(1, 2)` | a tuple of 2 of: an integer | width \\| height | may change it |' in lines
    assert lines[lines.index('### train') + 2] == 'Training.'


def test_bounds_are_written_out():
    assert integer(at_most=2**31 - 1).allowed == 'an integer, at most 2147483647' and number(above=0.5).allowed == 'a number, above 0.5'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """Sources that the user names."""
    sources: dict = each(Source, {}, 'where clips are from')


def test_names_of_sources_may_have_dots():
    config = defaults(Mixed)
    config.sources = {'web.v2': {'rate': 3, 'path': None}, 'web': {'rate': 1, 'path': None}}
    made = instance(Mixed, config)
    assert made.sources == {'web.v2': Source(rate=3.0), 'web': Source(rate=1.0)}
    assert override(made, {'sources.web.v2.rate': 5}).sources == {'web.v2': Source(rate=5.0), 'web': Source(rate=1.0)}
    assert differences(to_json(made), made) == [] and old_names(to_json(made), rules(Mixed)) == []
    config.sources['web.v2']['raet'] = 1
    with pytest.raises(UserError, match=r'did you mean config\.sources\.web\.v2\.rate\?'):
        instance(Mixed, config)


def test_a_name_that_is_no_text_is_one_line():
    config = defaults(Mixed)
    config.sources = {3: {'rate': 1, 'path': None}}
    with pytest.raises(UserError, match=r"^config\.sources: the name 3 is no text; write '3', in quotes$"):
        instance(Mixed, config)
    assert not rules_for({'sources': {}}, rules(Mixed))['sources'].accepts({3: {'rate': 1, 'path': None}})


def test_numbers_compare_by_value_and_a_key_of_a_float_is_one():
    config = defaults(Config)
    config.sources = {'web': {'rate': 2, 'path': None}}
    made = instance(Config, config)
    assert type(made.sources['web'].rate) is float and type(made.seed) is int
    stored = json.loads(json.dumps(to_json(made)))
    stored['sources']['web']['rate'] = 2  # as a run of an earlier version wrote it
    assert differences(stored, made) == []
    assert differences({'a': [8, [1]], 'b': 2}, {'a': [8.0, [1.0]], 'b': 2.5}) == ['b: 2 -> 2.5']
    assert differences({'a': True, 'b': [1], 'c': 1}, {'a': 1, 'b': [True], 'c': True}) == [
        'a: True -> 1', 'b: [1] -> [True]', 'c: 1 -> True']
