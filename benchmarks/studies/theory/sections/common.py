"""Parts that the sections share: tables, per cents, and how far a realised KL is from its prediction."""

CLEAR = 3  # standard errors


def percent(value, error=None, digits=1):
    """A part as per cent, with its error."""
    return f'{100 * value:+.{digits}f}' + (f' ± {100 * error:.{digits}f}' if error is not None else '')


def off(record, way):
    """(realised / predicted - 1, standard error)."""
    own = record['ways'][way]
    return own['kl'][0] / own['predicted'] - 1, own['kl'][1] / own['predicted']


def table(head, rows):
    """Markdown lines."""
    return [f'| {" | ".join(head)} |', '|---' * len(head) + '|', *(f'| {" | ".join(map(str, row))} |' for row in rows), '']
