"""Evaluation: candidates in, observations out.

`local` measures in this process. `batching` lets several studies share one oracle's batches.
"""

from blackbox_am.evaluation._table import check_measures
from blackbox_am.evaluation.evaluator import Evaluator, Rows
from blackbox_am.evaluation.examining import Examination, Examiner
from blackbox_am.evaluation.local import LocalEvaluator, check_evaluable

__all__ = [
    "Evaluator",
    "Examination",
    "Examiner",
    "LocalEvaluator",
    "Rows",
    "check_evaluable",
    "check_measures",
]
