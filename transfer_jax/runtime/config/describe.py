"""A schema as Markdown tables, for the pages of docs/."""
import dataclasses

from transfer_jax.runtime.config.rules import Each
from transfer_jax.runtime.config.schema import about, keys

BY_LEAVE = 'with data.allow_changes'


def describe(Schema):
    """Markdown: a table of the keys of every section, with defaults, allowed values, meanings, and what a resumed run may change."""
    fields = {field.name: field for field in dataclasses.fields(Schema)}
    alone = {name: own for name, own in keys(Schema).items() if name in fields}
    tables = [_table(alone, Schema, '')]
    for name, field in fields.items():
        own = about(field)
        if own.schema is not None and own.rule is None:
            inside = keys(own.schema, free=own.free)
            tables.append([f'### {name}', '', _first_line(own.schema), '', *_table(inside, own.schema, f'{name}.')])
    return '\n'.join(line for table in tables for line in [*table, ''])


def _table(inside, Schema, prefix):
    rows, default = [], Schema()
    for name, one in inside.items():
        rows.append(_row(f'{prefix}{name}', getattr(default, name), one))
        if isinstance(one.rule, Each):
            inner = keys(one.schema, free=one.free)
            rows += [_row(f'{prefix}{name}.NAME.{last}', getattr(one.schema(), last), key) for last, key in inner.items()]
    return ['| key | default | allowed | meaning | a resumed run |', '|---|---|---|---|---|', *rows]


def _row(name, default, own):
    allowed = 'a dict of sections, NAME chosen by you' if isinstance(own.rule, Each) else own.rule.allowed
    value = '{' + ', '.join(default) + '}' if isinstance(own.rule, Each) else repr(default)
    cells = [f'`{name}`', f'`{value}`', allowed, own.meaning, 'may change it' if own.free else BY_LEAVE if own.by_leave else '']
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def _first_line(Schema):
    return Schema.__doc__.strip().splitlines()[0]
