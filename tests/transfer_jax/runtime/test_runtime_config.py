"""Every fault of a config is one line that names the key, the value and what is allowed; every good config passes."""
import functools
import json

import pytest
from ml_collections import ConfigDict, config_dict

from transfer_jax.runtime.config import (
    Each,
    boolean,
    check,
    choice,
    differences,
    integer,
    number,
    old_names,
    optional,
    sequence,
    text,
    to_json,
)
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
    assert old_names(config, renamed) == ['train.speed is now train.lr'] and old_names(good(), renamed) == []


def test_missing_keys_are_named():
    for key in ('train.ema', 'law.kind', 'data.sources'):
        config = good().to_dict()
        section, name = key.split('.')
        del config[section][name]
        with pytest.raises(UserError, match=f'config.{key} is missing; allowed: '):
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
