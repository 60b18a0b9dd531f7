"""Failures of the history."""


class HistoryError(RuntimeError):
    """The history cannot be used; the message says why and what to do."""


class HistoryBusy(RuntimeError):
    """A request takes too long."""


class WriteError(HistoryError):
    """Something cannot be written; new spans that were not written yet are lost."""

    lost = 0
    """Number of those spans."""


class WriteDelayed(WriteError):
    """Something cannot be written now; new spans are kept for the next `flush`."""
