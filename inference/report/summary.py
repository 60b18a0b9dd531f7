"""What an analysis found, in a few sentences for people."""

from inference.adversarial import AdversarialFindings
from inference.concepts import ConceptFindings
from inference.report.adversarial_summary import adversarial_summary
from inference.report.concepts_summary import concepts_summary


def summary(findings: AdversarialFindings | ConceptFindings) -> list[str]:
    """Tell what matters most.

    Returns:
        2 to 4 sentences of plain text, the headline first. They hold words of the captioner's
        vocabulary, which are to be escaped where they become HTML.
    """
    if isinstance(findings, AdversarialFindings):
        return adversarial_summary(findings)
    return concepts_summary(findings)
