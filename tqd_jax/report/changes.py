"""The part of a run's page about what it went on with that was not as it began."""


def changes(page, run):
    """A table of the changes that a run was given leave to go on with; nothing where there were none."""
    if not run.changes:
        return
    page.section('What was changed on the way', 'The run went on with these by data.allow_changes: from each step on, clips come in a new '
                 'order, and what was learned before stays.')
    rows = [[f'from step {record["step"]}', '; '.join(part for part in (record['summary'], *record['config']) if part)]
            for record in run.changes]
    page.table(rows, ['when', 'what'])
