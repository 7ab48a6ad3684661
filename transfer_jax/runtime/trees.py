"""A tree's leaves by name, and whether two trees are the same but for their values."""
import jax

from transfer_jax.runtime.errors import UserError


def named_leaves(tree):
    """{'params/blocks/0/w': leaf, ...}, in the tree's order."""
    return {jax.tree_util.keystr(path, simple=True, separator='/'): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def check_same(stored, expected, what, dtypes=True):
    """Raises UserError that names the first few leaves whose shape (or dtype) differs between two dicts of leaves."""
    describe = lambda leaf: 'absent' if leaf is None else f'{leaf.dtype if dtypes else ""}{list(leaf.shape)}'
    pairs = {name: (describe(stored.get(name)), describe(expected.get(name))) for name in {**expected, **stored}}
    wrong = [f'{name}: {old} there, {new} here' for name, (old, new) in pairs.items() if old != new]
    if wrong:
        more = f'; and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise UserError(f'{what} is of another model or config: {"; ".join(wrong[:3])}{more}; '
                        'use the config that it was made with, or another folder')
