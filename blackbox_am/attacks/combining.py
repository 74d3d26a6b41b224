"""Several attacks in sequence, each on the inputs that those before it have left, as one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome
from blackbox_am.core.types import Accounting


def combined(results: Sequence[AttackResult]) -> AttackResult:
    """The result of an ensemble: the model is robust at an input that no attack has changed enough.

    Source of the idea: F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an
    ensemble of diverse parameter-free attacks" (ICML 2020).

    Args:
        results: of the same inputs and ball, in the order of the attacks. Each after the first has
            skipped the inputs that were fooled before. Parts of one attack have one name.

    Returns:
        The result of the first, with the later outcome of the inputs that the first left. Queries
        are summed over the attacks; the budget too.
    """
    first = results[0]
    inputs, adversarial = list(first.inputs), first.adversarial.copy()
    spent = Accounting()
    for result in results:
        spent += result.spent
    for result in results[1:]:
        for index, later in enumerate(result.inputs):
            if inputs[index].outcome is Outcome.FAILED and later.outcome is not Outcome.SKIPPED:
                inputs[index] = _after(inputs[index], later)
                adversarial[index] = result.adversarial[index]
    names = list(dict.fromkeys(result.attack for result in results))
    return replace(
        first,
        attack=" + ".join(names),
        parameters={
            f"{result.attack}.{name}" if len(names) > 1 else name: value
            for result in results
            for name, value in result.parameters.items()
        },
        budget=sum(result.budget for result in results),
        inputs=tuple(inputs),
        adversarial=np.ascontiguousarray(adversarial),
        spent=spent,
        warnings=tuple(dict.fromkeys(text for result in results for text in result.warnings)),
        complete=all(result.complete for result in results),
    )


def _after(before: AttackedInput, later: AttackedInput) -> AttackedInput:
    """The result for an input that an earlier attack has left. A success of the earlier attack that
    did not repeat is still told if the later attack has none.
    """
    both = replace(later, queries=before.queries + later.queries)
    if later.outcome is Outcome.SUCCESS or before.verified is not False:
        return both
    return replace(both, verified=False, message=before.message)
