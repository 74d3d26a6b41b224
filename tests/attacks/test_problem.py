"""Every attack is known with its norms and what it needs."""

import dataclasses

import pytest

from blackbox_am import plugins
from blackbox_am.attacks.planning import Classes, Inputs, search_spec
from blackbox_am.attacks.problem import BALLS, METHODS, Problem, chosen, method_of
from blackbox_am.errors import InvalidInput, Unsupported


def attacks() -> dict[str, type]:
    found = {name: plugins.optimizers.get(name) for name in plugins.optimizers.names()}
    return {name: one for name, one in found.items() if ".attacks." in one.__module__}


def test_every_attack_of_the_package_is_known():
    assert set(METHODS) == {name for name in attacks() if name != "natural_adversary"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_norm_is_a_parameter_where_the_attack_has_one(name):
    method, kind = METHODS[name], attacks()[name]
    assert method.takes_norm == ("norm" in {field.name for field in dataclasses.fields(kind)})
    if method.takes_norm:
        for norm in method.norms:
            kind(norm=norm)
    assert (method.needs == "gradients") == (kind.order == 1)


def test_another_optimizer_searches_every_ball():
    assert method_of("sep_cma").norms == BALLS
    assert method_of("nevergrad:DiagonalCMA").latents == "squashed"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_auto_chooses_by_what_the_model_tells(norm):
    problem = Problem(norm, 1.0)
    by_scores = chosen(problem, labels_only=False, oracle="m")
    assert method_of(by_scores).needs == "scores"
    assert norm in method_of(by_scores).norms
    assert method_of(chosen(problem, labels_only=True, oracle="m")).needs == "labels"


def test_an_attack_that_needs_scores_is_refused_where_there_are_labels():
    with pytest.raises(Unsupported, match="m answers with a label only; use rays"):
        chosen(Problem(attack="square"), labels_only=True, oracle="m")
    with pytest.raises(Unsupported, match="answers with a label only"):
        chosen(Problem(attack="sep_cma"), labels_only=True, oracle="m")


def test_l0_is_a_number_of_places():
    with pytest.raises(InvalidInput, match="number of places"):
        Problem("l0", 0.5)


def test_a_targeted_square_maximises_the_cross_entropy_with_parameters_of_its_own():
    classes = Classes(("head:0", "head:1"))
    inputs = Inputs((3, 4, 4), 1, "m")

    def spec(**given):
        problem = Problem(attack="square", **given)
        return search_spec(problem, classes, inputs, [0], [1])

    plain, targeted = spec(), spec(targeted=True)
    assert plain.targets[0].kind == "margin"
    assert "budget" not in plain.optimizer.parameters
    assert targeted.targets[0].kind == "cross_entropy"
    assert targeted.targets[0].parameters["targeted"]
    assert targeted.criteria[0].kind == "target_class"
    assert targeted.optimizer.parameters["budget"] == 10_000
    mine = spec(targeted=True, parameters={"budget": 500}).optimizer.parameters
    assert mine["budget"] == 500


def test_parameters_of_targeted_attacks_exist():
    for name, method in METHODS.items():
        attacks()[name](**method.targeted)


def test_auto_refuses_a_ball_that_no_attack_on_labels_searches():
    with pytest.raises(Unsupported, match="use norm linf or l2"):
        chosen(Problem("l0", 5), labels_only=True, oracle="m")


def test_auto_of_a_targeted_attack():
    assert chosen(Problem(targeted=True), labels_only=False, oracle="m") == "square"
