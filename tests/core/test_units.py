import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.capability import Capability
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import REDUCTIONS, Unit, check_unit, find_layer
from blackbox_am.errors import CapabilityMissing, InvalidInput, UnknownUnit

INFO = OracleInfo(
    "test",
    Capability.MAPS,
    (3, 32, 32),
    (
        LayerInfo("conv1", "conv", (8, 4, 6), ("unit", "height", "width")),
        LayerInfo("blocks.0.fc1", "linear", (65, 12), ("token", "unit")),
        LayerInfo("fc", "linear", (10,), ("unit",)),
    ),
)

names = st.one_of(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,5}", fullmatch=True),
    st.text(min_size=1, max_size=6),  # torch takes any name but '' and names with dots
    st.text(':@!"\\. \n3a', min_size=1, max_size=6),
)
positions = st.one_of(
    st.none(),
    st.sampled_from(["center", "cls"]),
    st.lists(st.integers(0, 999), min_size=1, max_size=3).map(tuple),
)
units = st.builds(
    Unit,
    st.lists(names, min_size=1, max_size=4).map(".".join),
    st.none() | st.integers(0, 10**6),
    positions,
    st.sampled_from(REDUCTIONS),
)


@given(units)
def test_parse_is_the_inverse_of_str(unit: Unit) -> None:
    assert Unit.parse(str(unit)) == unit


@given(st.text())
def test_parse_returns_a_unit_or_says_why_not(text: str) -> None:
    try:
        unit = Unit.parse(text)
    except InvalidInput as error:
        assert error.field == "units"  # noqa: PT017
    else:
        assert Unit.parse(str(unit)) == unit


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("fc:3", Unit("fc", 3)),
        ("layer4.1.conv2:121", Unit("layer4.1.conv2", 121)),
        ("layer4.1.conv2:121@center", Unit("layer4.1.conv2", 121, "center")),
        ("layer4.1.conv2:121@2,5", Unit("layer4.1.conv2", 121, (2, 5))),
        ("blocks.6.mlp.fc1:713@cls", Unit("blocks.6.mlp.fc1", 713, "cls")),
        ("blocks.6.mlp.fc1:713@3", Unit("blocks.6.mlp.fc1", 713, (3,))),
        ("blocks.6.mlp.fc1:713!max", Unit("blocks.6.mlp.fc1", 713, None, "max")),
        ("layer2", Unit("layer2")),
        ("0:3", Unit("0", 3)),
        ("features.0:3", Unit("features.0", 3)),
        ('"initial:3-8:conv":5', Unit("initial:3-8:conv", 5)),
        ('"act 1":2@center', Unit("act 1", 2, "center")),
        ('"a\\"b\\\\c"', Unit('a"b\\c')),
    ],
)
def test_the_examples_of_the_grammar(text: str, unit: Unit) -> None:
    assert Unit.parse(text) == unit
    assert str(unit) == text


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("act 1:2", Unit("act 1", 2)),
        ("output.aux/edge:1", Unit("output.aux/edge", 1)),
        ('encoder."a:b".fc:3', Unit("encoder.a:b.fc", 3)),
        ('"encoder.a:b.fc":3', Unit("encoder.a:b.fc", 3)),
    ],
)
def test_other_ways_to_write_a_name(text: str, unit: Unit) -> None:
    assert Unit.parse(text) == unit


def test_a_name_that_lacks_its_quotes_is_shown_with_them() -> None:
    with pytest.raises(InvalidInput, match=r"""in quotes, '"initial:3-8:conv":5'"""):
        Unit.parse("initial:3-8:conv:5")


def test_the_usual_reduction_is_left_out() -> None:
    assert str(Unit.parse("fc:3!mean")) == "fc:3"


@pytest.mark.parametrize(
    "text", ["", "fc:", "fc:-1", "fc:x", "fc@", "fc@middle", "fc@1,", "fc!", ".fc", "a..b", " a",
             "a ", "fc:1@2@3", "fc!max:1", "fc:1\n", '"fc', '""', '"a"b', 'fc"a":1'],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Unit.parse(text)


def test_unknown_reductions_name_near_ones() -> None:
    with pytest.raises(InvalidInput, match=r"'maxx'; did you mean 'max'"):
        Unit.parse("fc:1!maxx")


@pytest.mark.parametrize(
    "text",
    ["fc:9", "fc", "conv1:7@3,5", "conv1:0@center", "blocks.0.fc1:11@64", "blocks.0.fc1:0@cls"],
)
def test_units_that_exist(text: str) -> None:
    check_unit(INFO, Unit.parse(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv2:0", "did you mean 'conv1'"),
        ("fc:10", "units 0 to 9, got 10"),
        ("blocks.0.fc1:12", "units 0 to 11"),
        ("fc:0@center", "no positions"),
        ("conv1:0@cls", "no tokens"),
        ("blocks.0.fc1:0@center", "has tokens"),
        ("conv1:0@4,0", r"shape \(4, 6\)"),
        ("conv1:0@1", r"shape \(4, 6\)"),
        ("blocks.0.fc1:0@65", r"shape \(65,\)"),
    ],
)
def test_units_that_do_not(text: str, message: str) -> None:
    with pytest.raises(UnknownUnit, match=message):
        check_unit(INFO, Unit.parse(text))


def test_positions_need_an_oracle_with_maps() -> None:
    info = OracleInfo("test", Capability.UNITS, (3,), INFO.layers)
    check_unit(info, Unit.parse("conv1:0"))
    with pytest.raises(CapabilityMissing, match=r"MAPS.*has UNITS"):
        check_unit(info, Unit.parse("conv1:0@center"))


def test_find_layer() -> None:
    assert find_layer(INFO, Unit("fc", 3)) is INFO.layers[2]
