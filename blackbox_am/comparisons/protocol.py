"""The rules of a comparison, and whether this comparison keeps them."""

from __future__ import annotations

from blackbox_am.comparisons.planning import REPEATS, START_ROWS, Plan
from blackbox_am.comparisons.problem import LEAST_LAYERS, LEAST_SEEDS, LEAST_UNITS
from blackbox_am.comparisons.results import Method, ProtocolPart
from blackbox_am.comparisons.targets import layer_of


def protocol_of(plan: Plan, *, noisy: bool, images: int) -> tuple[ProtocolPart, ...]:
    """The rules, each with how it was kept or what was done instead.

    Args:
        plan: the comparison.
        noisy: whether the model does not repeat its answers.
        images: number of natural images.
    """
    return (
        ProtocolPart(
            "one generator",
            True,
            f"All methods search the latent space of {plan.spec.generator}, within the same "
            "bounds, and begin at samples of its prior.",
        ),
        *_penalties(plan),
        _transforms(plan),
        _budgets(plan),
        _restarts(plan),
        _tuning(plan),
        _units(plan),
        _seeds(plan),
        _random(plan),
        _natural(images, plan.spec.budget),
        _noise(plan, noisy),
    )


def _penalties(plan: Plan) -> list[ProtocolPart]:
    terms = [f"{weight:g}*{name}" for name, weight in plan.spec.penalties.items()]
    if not terms:
        return []
    return [
        ProtocolPart(
            "same penalties",
            True,
            f"The score of every method, unit and natural image is the activation less "
            f"{' and '.join(terms)}.",
        )
    ]


def _transforms(plan: Plan) -> ProtocolPart:
    spec = plan.spec.transforms
    if spec is None:
        return ProtocolPart("same transforms", True, "No method sees transformed stimuli.")
    names = ", ".join(one.name for one in spec.chain)
    when = "drawn anew in each generation" if spec.redraw == "generation" else "the same in all"
    return ProtocolPart(
        "same transforms",
        True,
        f"All methods see the mean of {spec.copies} transformed copies of a stimulus ({names}, "
        f"{when}); a query-equivalent is {spec.copies} rows of the model.",
    )


def _budgets(plan: Plan) -> ProtocolPart:
    rows = ", ".join(f"{one.name} {one.queries_per_target:,}" for one in _compared(plan))
    text = (
        f"A forward pass costs 1 query-equivalent, a forward and a backward pass cost 2; rows for "
        f"each unit and seed: {rows}."
    )
    other = [
        one.name for one in plan.spec.all_methods if one.budget not in (None, plan.spec.budget)
    ]
    if other:
        return ProtocolPart(
            "equal budgets",
            False,
            f"The budget of {', '.join(other)} is not that of the others. {text}",
        )
    return ProtocolPart("equal budgets", True, f"{plan.spec.budget:,} each. {text}")


def _restarts(plan: Plan) -> ProtocolPart:
    climbing = [one for one in _compared(plan) if one.order == 1]
    if not climbing:
        return ProtocolPart(
            "restarts of gradients", False, "No method with gradients takes part and can run."
        )
    single = [one.name for one in climbing if plan.starts[one.name] == 1]
    if single:
        return ProtocolPart(
            "restarts of gradients",
            False,
            f"{', '.join(single)} climbs from one sample of the prior only.",
        )
    starts = ", ".join(f"{one.name} {plan.starts[one.name]}" for one in climbing)
    return ProtocolPart(
        "restarts of gradients",
        True,
        f"An ascent begins at several samples of the prior for each unit and seed ({starts}), and "
        "the best of them counts.",
    )


def _tuning(plan: Plan) -> ProtocolPart:
    tuned = plan.spec.tuning_units
    if tuned:
        return ProtocolPart(
            "tuning apart",
            True,
            f"Parameters were tuned on {', '.join(tuned)}, which are not searched here.",
        )
    changed = [one.name for one in plan.spec.methods if one.parameters]
    if changed:
        return ProtocolPart(
            "tuning apart",
            False,
            f"{', '.join(changed)}: with parameters other than the defaults, and the comparison "
            "does not say on which units they were tuned (tuning_units).",
        )
    return ProtocolPart(
        "tuning apart", True, "All parameters are the defaults of the package; none was tuned here."
    )


def _units(plan: Plan) -> ProtocolPart:
    units, layers = len(plan.units), len({layer_of(unit) for unit in plan.units})
    kept = units >= LEAST_UNITS and layers >= LEAST_LAYERS
    few = "" if kept else f"; the protocol asks for {LEAST_UNITS} units of {LEAST_LAYERS} layers"
    return ProtocolPart(
        "units and layers",
        kept,
        f"{_number(units, 'unit')} of {_number(layers, 'layer')}{few}.",
    )


def _seeds(plan: Plan) -> ProtocolPart:
    seeds, less = len(plan.spec.all_seeds), plan.spec.reference_seeds
    shown = f", and {_number(less, 'seed')} for each reference" if less < seeds else ""
    kept = seeds >= LEAST_SEEDS
    few = "" if kept else f"; the protocol asks for {LEAST_SEEDS}"
    return ProtocolPart(
        "seeds", kept, f"{_number(seeds, 'seed')} for each unit and method{shown}{few}."
    )


def _random(plan: Plan) -> ProtocolPart:
    found = [one for one in plan.methods if one.optimizer == "random"]
    if not found:
        return ProtocolPart("random search", False, "No random search takes part.")
    if any(one.spends(plan.spec.budget) for one in found):
        return ProtocolPart("random search", True, "A random search has the same budget.")
    spent = ", ".join(f"{one.equivalents:,g}" for one in found)
    return ProtocolPart(
        "random search",
        False,
        f"A random search has {spent} query-equivalents, and the comparison {plan.spec.budget:,}.",
    )


def _natural(images: int, budget: int) -> ProtocolPart:
    if not images:
        return ProtocolPart(
            "natural images",
            False,
            "No natural images were measured: nothing says how high these scores are.",
        )
    fewer = (
        f" There are fewer images than the {budget:,} query-equivalents: the best of n natural "
        "images is the best of all."
        if images < budget
        else ""
    )
    return ProtocolPart(
        "natural images",
        True,
        f"{images:,} natural images were measured once for all methods. A gain is counted from the "
        f"best of {START_ROWS} random latents of each unit.{fewer}",
    )


def _noise(plan: Plan, noisy: bool) -> ProtocolPart:
    if not noisy:
        return ProtocolPart(
            "noise", True, "The model repeats its answers; a score is one measurement."
        )
    if plan.spec.recheck_fraction == 0:
        return ProtocolPart(
            "noise",
            False,
            "Scores are noisy, and recheck_fraction is 0: stimuli were chosen by the best of "
            f"noisy scores. Each was measured {REPEATS} times more for its reported score.",
        )
    return ProtocolPart(
        "noise",
        True,
        "Scores are noisy: fresh measurements within the budget choose each stimulus, and "
        f"{REPEATS} others outside of the budget give the reported score and its standard error.",
    )


def _compared(plan: Plan) -> list[Method]:
    return [one for one in plan.methods if not one.reference and not one.unavailable]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
