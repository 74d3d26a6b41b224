"""The report of a comparison: a page for people, and all numbers for programs."""

from blackbox_am.comparisons.report.summaries import rows_of, summary_of
from blackbox_am.comparisons.report.writing import write_report

__all__ = ["rows_of", "summary_of", "write_report"]
