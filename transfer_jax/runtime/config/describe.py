"""A schema as Markdown tables, for the pages of docs/."""
import dataclasses

from transfer_jax.runtime.config.rules import Each
from transfer_jax.runtime.config.schema import FIELD, keys


def describe(Schema):
    """Markdown: a table of the keys of every section, with defaults, allowed values, meanings, and what a resumed run may change."""
    fields = {field.name: field for field in dataclasses.fields(Schema)}
    alone = {name: about for name, about in keys(Schema).items() if name in fields}
    tables = [_table(alone, Schema, '')]
    for name, field in fields.items():
        about = field.metadata[FIELD]
        if about.schema is not None and about.rule is None:
            inside = keys(about.schema, free=about.free)
            tables.append([f'### {name}', '', _first_line(about.schema), '', *_table(inside, about.schema, f'{name}.')])
    return '\n'.join(line for table in tables for line in [*table, ''])


def _table(about, Schema, prefix):
    rows, default = [], Schema()
    for name, one in about.items():
        rows.append(_row(f'{prefix}{name}', getattr(default, name), one))
        if isinstance(one.rule, Each):
            inner = keys(one.schema, free=one.free)
            rows += [_row(f'{prefix}{name}.NAME.{last}', getattr(one.schema(), last), key) for last, key in inner.items()]
    return ['| key | default | allowed | meaning | a resumed run |', '|---|---|---|---|---|', *rows]


def _row(name, default, about):
    allowed = 'a dict of sections, NAME chosen by you' if isinstance(about.rule, Each) else about.rule.allowed
    value = '{' + ', '.join(default) + '}' if isinstance(about.rule, Each) else repr(default)
    cells = [f'`{name}`', f'`{value}`', allowed, about.meaning, 'may change it' if about.free else '']
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def _first_line(Schema):
    return Schema.__doc__.strip().splitlines()[0]
