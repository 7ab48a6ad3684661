"""The part of a run's page about what it went on with that was not as it began."""

KINDS = {'gone': 'clips gone', 'new': 'new clips', 'caption': 'other captions', 'source': 'other sources', 'scores': 'other scores'}


def changed(page, run):
    """A table of the changes that a run was given leave to go on with; nothing where there were none."""
    if not run.changes:
        return
    page.section('What was changed on the way', 'The run went on with these by data.allow_changes: from each step on, clips come in a new '
                 'order, and what was learned before stays.')
    rows = [[f'from step {record["step"]}', ', '.join(f'{count} {KINDS[kind]}' for kind, count in record['clips'].items()),
             '; '.join(part for part in (record['said'], *record['config']) if part)] for record in run.changes]
    page.table(rows, ['when', 'clips', 'what'])
