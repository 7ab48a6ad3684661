"""The theory study's page, from its records alone: the command and settings, claims with verdicts, then the tables."""
from benchmarks.studies.theory.sections.common import table
from benchmarks.studies.theory.sections.debiasing import debiasing
from benchmarks.studies.theory.sections.growth import growth
from benchmarks.studies.theory.sections.orders import orders
from benchmarks.studies.theory.sections.threshold import threshold

SECTIONS = {'growth': growth, 'threshold': threshold, 'debiasing': debiasing, 'orders': orders}
METHOD = """Target and sources are drawn, models fitted by weighted maximum likelihood, KL(true target law || fit) is averaged over refits
and compared with d/2 F, F from `predicted_error` with the true G. Inputs are rows, each alike, of max(256, 4 d) fixed normal ones, so
that J and KL are exact; the parameters of a logit have norm 1; softmax has three classes. ± is one standard error. For regressions the
linearised fit, whose expected KL is exact, takes out most of the Monte-Carlo noise (`benchmarks/studies/theory/refits.py`). A
Gaussian mean obeys the formula exactly at any N0: it tests the machinery, without that help. none: target only; all: every sample at
weight 1; OTQMS: optimal whole quantities; UOWQ: optimal weights; G is the true one but under Debiasing. All cases, with their errors,
weights and quantities: [theory.json](theory.json).

A rerun with this seed draws the same samples. On one machine it gives the same figures; another linear-algebra library may move fits by
some 1e-6 of their KL, and an optimal quantity at half a sample may be rounded the other way: within the errors shown."""


def page(settings, records, links, flags):
    """The page's lines; links {section: where its picture lies}; flags {key: value} of the config that the command line named."""
    claims, sections = [], []
    for kind, section in SECTIONS.items():
        section_claims, lines = section(records)
        claims += section_claims
        sections += [*lines, f'![{kind}]({links[kind]})', '']
    verdicts = table(('claim', 'verdict', 'figures'), claims)
    return [*heading(settings, records, flags), METHOD, '', '## Claims', '', *verdicts, *sections[:-1]]


def heading(settings, records, flags):
    """Command, settings, machine and time."""
    machines = '; '.join(sorted({record['machine'] for record in records.values()}))
    options = (f'"--config.{key}={value}"' if set(value) & set(' ()') else f'--config.{key}={value}'
             for key, value in ({'seed': str(settings['seed'])} | flags).items())
    minutes = sum(record['seconds'] for record in records.values()) / 60
    return ['# The theory of transfer against refitted models', '',
            f'`python -m benchmarks.studies --config=configs/studies/theory.py --workdir=runs/theory {" ".join(options)}`', '',
            f'{len(records)} cases, {minutes:.0f} minutes, added up, on {machines}. Settings: {settings}.', '']
