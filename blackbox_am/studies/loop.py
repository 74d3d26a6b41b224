"""The loop that evaluates a study here: one more client of it, in the same process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import OracleFailed, QuotaExceeded, StudyClosed
from blackbox_am.evaluation import Evaluator
from blackbox_am.studies.live import LiveStudy


def run(
    live: LiveStudy,
    evaluator: Evaluator,
    *,
    stopped: Callable[[], bool] = lambda: False,
    after_generation: Callable[[LiveStudy], None] = lambda live: None,
) -> None:
    """Evaluates generation after generation until the study ends, or is paused.

    Where the oracle's quota is used up, it pauses the study itself.

    Args:
        live: the study.
        evaluator: measures its candidates.
        stopped: asked before each generation; True leaves the study as it is, to be
            resumed by whoever takes it up again.
        after_generation: called after each, for progress.

    Raises:
        OracleError: where the oracle fails, or every row of a generation is nan.
    """
    live.start()
    gradients = live.search.optimizer.order == 1
    while live.study.state is StudyState.RUNNING and not stopped():
        try:
            _measure(live, evaluator, gradients=gradients)
        except StudyClosed:
            return  # cancelled, or finished by clients, while it was being measured
        except QuotaExceeded as error:
            live.suspend(error.message, StopReason.BUDGET)
            return
        after_generation(live)


def _measure(live: LiveStudy, evaluator: Evaluator, *, gradients: bool) -> None:
    generation = live.generation()
    result = evaluator.evaluate(
        generation.latents[:, : generation.rows], generation.targets, gradients=gradients
    )
    if np.isnan(result.activations).all():
        raise OracleFailed(
            f"all {generation.rows * len(generation.targets)} rows of generation "
            f"{generation.index} came back as nan; check the model on one stimulus first"
        )
    live.tell_generation(generation, result.activations, result.gradients)
