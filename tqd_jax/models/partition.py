"""Parameters in two parts: those that training changes, and those that stay as they are."""
import re

LORA = ('lora_a', 'lora_b')  # names of LoRA's leaves


def everything(path):
    """Selects every parameter: full training."""
    return True


def is_adapter(path):
    """Selects the adapters (LoRA), lora_a and lora_b."""
    return path[-1] in LORA


def partition(params, selects):
    """(trained, frozen) of a tree of nested dicts: leaves whose path, a tuple of keys, `selects` takes, and the others.

    A part has the branches that its leaves need, so that the frozen part of full training is {}.
    """
    trained, frozen = {}, {}
    for name, value in params.items():
        below = lambda path, name=name: selects((name, *path))
        if isinstance(value, dict):
            parts = partition(value, below)
        else:
            parts = (value, {}) if below(()) else ({}, value)
        for tree, part in zip((trained, frozen), parts, strict=True):
            if not isinstance(part, dict) or part:
                tree[name] = part
    return trained, frozen


def merge(trained, frozen):
    """The tree that was parted. Raises ValueError where a leaf is in both."""
    tree = dict(trained)
    for name, value in frozen.items():
        if name in tree and not (isinstance(tree[name], dict) and isinstance(value, dict)):
            raise ValueError(f'the parameter {name!r} is trained and frozen at once')
        tree[name] = merge(tree[name], value) if name in tree else value
    return tree


def select(abstract, tree):
    """The part of a tree that `abstract` has."""
    return {name: select(part, tree[name]) if isinstance(part, dict) else tree[name] for name, part in abstract.items()}


def selects(trained: str):
    """The function of a path that says which parameters `trained` names.

    trained: 'full', every parameter; 'lora', those of LoRA; or a regular expression that the whole path, joined by '/', matches, such as
    'blocks/attention/.*'. Raises ValueError where it is no regular expression.
    """
    if trained == 'full':
        return everything
    if trained == 'lora':
        return is_adapter
    try:
        pattern = re.compile(trained)
    except re.error as error:
        raise ValueError(f'{trained!r} is neither full nor lora nor a regular expression: {error}') from None
    return lambda path: pattern.fullmatch('/'.join(path)) is not None


def check_selects(abstract, trained: str):
    """Raises ValueError where selects(trained) takes no leaf of the tree."""
    if partition(abstract, selects(trained))[0]:
        return
    if trained == 'lora':
        raise ValueError("'lora' selects no parameter: the model has no LoRA")
    raise ValueError(f'{trained!r} selects no parameter; paths are such as {", ".join(sorted(paths(abstract))[:3])}')


def paths(tree, above=()):
    """The paths of all leaves of a tree of nested dicts, each joined by '/'."""
    for name, value in tree.items():
        yield from paths(value, (*above, name)) if isinstance(value, dict) else ['/'.join((*above, name))]
