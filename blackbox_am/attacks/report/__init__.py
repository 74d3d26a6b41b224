"""The report of an attack: statistics, audit, page, and two reports side by side."""

from blackbox_am.attacks.report.writing import write_report

__all__ = ["write_report"]
