"""Rules: which values a config key may have, each with the words that an error says about them."""
import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

NO_NAMES = types.MappingProxyType({})  # no key has an old name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """The values of a key: `allowed` describes them, `accepts` tests one.

    plain: text of a command line is not evaluated. path: a text names files, so that ~ in it is the home folder.
    """

    allowed: str
    accepts: Callable[[Any], bool]
    plain: bool = False
    path: bool = False


@dataclasses.dataclass(frozen=True)
class Each:
    """A dict whose names the user chooses; every value is a section with the rules {key: Rule}.

    renamed: {old key: new key} within such a section.
    """

    rules: Mapping[str, Rule]
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def number(*, at_least=-math.inf, at_most=math.inf, above=-math.inf, below=math.inf, kind='a number'):
    """A finite int or float (never a bool) within inclusive (at_least, at_most) and exclusive (above, below) bounds."""
    bounds = {'at least': at_least, 'at most': at_most, 'above': above, 'below': below}
    allowed = ', '.join([kind, *(f'{word} {bound if isinstance(bound, int) else format(bound, "g")}' for word, bound in bounds.items()
                                 if math.isfinite(bound))])

    def accepts(value):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
            return False
        return at_least <= value <= at_most and above < value < below
    return Rule(allowed=allowed, accepts=accepts)


def integer(*, at_least=-math.inf, at_most=math.inf):
    """An int (never a bool, never 3.0) within inclusive bounds."""
    rule = number(at_least=at_least, at_most=at_most, kind='an integer')
    return dataclasses.replace(rule, accepts=lambda value: isinstance(value, int) and rule.accepts(value))


def boolean():
    """True or False."""
    return Rule(allowed='True or False', accepts=lambda value: isinstance(value, bool))


def text(*, empty=False):
    """A str, which is not empty unless `empty` is true."""
    return Rule(allowed='text', accepts=lambda value: isinstance(value, str) and (empty or value != ''), plain=True)


def paths():
    """A str that names a file or folder, or several as 'name=path,name=path'."""
    return dataclasses.replace(text(), path=True)


def choice(*values):
    """One of the strings."""
    return Rule(allowed=f'one of {", ".join(values)}', plain=True,
                accepts=lambda value: isinstance(value, str) and value in values)


def optional(rule):
    """None, or what the rule allows."""
    return dataclasses.replace(rule, allowed=f'{rule.allowed}, or None',
                               accepts=lambda value: value is None or rule.accepts(value))


def sequence(rule, *, length=None, empty=False, example=None):
    """A tuple or list of what the rule allows: of exactly `length` entries, or of one or more, or with `empty` of any number.

    example: how such a value is written, where that is easily mistaken.
    """
    size = f'{length}' if length else 'zero or more' if empty else 'one or more'

    def accepts(value):
        fits = isinstance(value, tuple | list) and (len(value) == length if length else empty or len(value) > 0)
        return fits and all(map(rule.accepts, value))
    return Rule(allowed=f'a tuple of {size} of: {rule.allowed}' + (f', as in {example}' if example else ''), accepts=accepts)


def mapping(name, rule):
    """A dict of what the rule allows, by names that the user chooses; `name` says what they name."""
    return Rule(allowed=f'{{{name}: {rule.allowed}}}', accepts=lambda value: isinstance(value, Mapping)
                and all(isinstance(one, str) for one in value) and all(map(rule.accepts, value.values())))
