import dataclasses
import importlib.metadata
import json
import pkgutil
import types
from pathlib import Path
from typing import Any

import msgspec
import pytest

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.core.objective import Objective
from blackbox_am.core.spec import ObjectiveSpec, from_plain, to_plain
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.objectives.weighted import Weighted

REGISTRIES = {
    "optimizers": plugins.optimizers,
    "generators": plugins.generators,
    "generators/wrappers": plugins.generator_wrappers,
    "oracles": plugins.oracles,
    "oracles/wrappers": plugins.wrappers,
    "objectives": plugins.objectives,
    "transforms": plugins.transforms,
}
EVERY = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_file_is_registered(kind: str) -> None:
    folder = Path(plugins.__file__).parent / kind
    files = {
        path.stem
        for path in folder.rglob("*.py")
        if not path.stem.startswith("_")
        and path.relative_to(folder).parts[0] != "wrappers"  # of a registry of their own
    }
    assert files
    assert files <= set(REGISTRIES[kind].names())


def test_a_package_is_a_plug_in_and_a_room_is_searched() -> None:
    names = plugins.oracles.names()
    assert {"http", "torch_module"} <= set(names)
    assert not {"torch", "wrappers", "cache"} & set(names)
    assert plugins.wrappers.get("cache").__name__ == "Cache"


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_plug_in_loads_and_describes_itself(kind: str, name: str) -> None:
    registry = REGISTRIES[kind]
    plug_in = registry.get(name)
    assert issubclass(plug_in, registry.base)
    assert getattr(plug_in, "kind", getattr(plug_in, "name", name)) == name
    summary = registry.summary(name)
    assert summary.endswith((".", ":"))
    assert "\n" not in summary


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_plug_in_has_a_schema_of_its_fields(kind: str, name: str) -> None:
    schema = REGISTRIES[kind].schema(name)
    json.dumps(schema)
    assert schema["type"] == "object"
    fields = dataclasses.fields(REGISTRIES[kind].get(name))
    assert list(schema["properties"]) == [field.name for field in fields]


def test_plug_ins_are_built_from_plain_parameters() -> None:
    assert plugins.generators.build("pixels", {"shape": [1, 2, 3]}) == Pixels((1, 2, 3))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("pixel", {}, "no generator is called 'pixel'; did you mean 'pixels'"),
        ("nothing_like_it", {}, "known: .*cppn"),
        ("pixels", {"shap": [1]}, "pixels has no parameter 'shap'; did you mean 'shape'"),
        ("pixels", {"shape": "3"}, "shape"),
    ],
)
def test_mistakes_are_explained(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.generators.build(name, parameters)


def test_other_packages_add_theirs_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint(
        "theirs", "blackbox_am.generators.parametric.pixels:Pixels", "blackbox_am.generators"
    )
    shadow = importlib.metadata.EntryPoint("pixels", "nowhere:Nothing", "blackbox_am.generators")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point, shadow])
    plugins._loaders.cache_clear()
    try:
        assert plugins.generators.get("theirs") is Pixels
        assert plugins.generators.get("pixels") is Pixels, "ours cannot be shadowed"
    finally:
        monkeypatch.undo()
        plugins._loaders.cache_clear()
    assert "theirs" not in plugins.generators.names()


def test_plug_ins_are_imported_when_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = pkgutil.ModuleInfo(None, "broken", False)  # type: ignore[arg-type]
    monkeypatch.setattr(plugins.pkgutil, "iter_modules", lambda path: [broken])
    plugins._loaders.cache_clear()
    try:
        assert "broken" in plugins.generators.names()
        with pytest.raises(ModuleNotFoundError):
            plugins.generators.get("broken")
    finally:
        monkeypatch.undo()
        plugins._loaders.cache_clear()


def test_a_file_holds_one_plug_in() -> None:
    module = types.ModuleType("mine")
    with pytest.raises(InvalidSpec, match="expected one public subclass of Generator, found 0"):
        plugins.public_class(module, Generator)  # type: ignore[type-abstract]
    for name in ("One", "_Hidden"):
        setattr(module, name, type(name, (Pixels,), {"__module__": "mine"}))
    assert plugins.public_class(module, Generator) is module.One  # type: ignore[type-abstract]
    module.Two = type("Two", (Pixels,), {"__module__": "mine"})
    with pytest.raises(InvalidSpec, match="found 2"):
        plugins.public_class(module, Generator)  # type: ignore[type-abstract]


OBJECTIVES: list[Objective] = [
    Mean(("fc:1",)),
    Mean(("fc:1", "conv:2@center!max")),
    Weighted(("fc:1", "fc:2"), (1.0, -0.5)),
    Mean(("fc:1",)) + Mean(("fc:2",)),
    Mean(("fc:1",)) - 2 * Mean(("fc:2",)),
    Mean(("fc:1",)) * (Weighted(("fc:2",), (3,)) - Mean(("fc:3",))),
    -Mean(("fc:1",)),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_objectives_survive_plain_data_and_json(objective: Objective) -> None:
    spec = objective.spec()
    assert plugins.build_objective(from_plain(ObjectiveSpec, to_plain(spec))) == objective
    again = msgspec.json.decode(msgspec.json.encode(spec), type=ObjectiveSpec)
    assert plugins.build_objective(again) == objective


def test_a_sum_without_weights_adds_its_terms() -> None:
    one, two = Mean(("fc:1",)), Mean(("fc:2",))
    spec = ObjectiveSpec("sum", terms=(one.spec(), two.spec()))
    assert plugins.build_objective(spec) == one + two


LEAF = ObjectiveSpec("mean", quantities=("fc:1",))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ObjectiveSpec("meen", quantities=("fc:1",)), "'meen'; did you mean 'mean'"),
        (ObjectiveSpec("weigthed", quantities=("fc:1",)), "did you mean 'weighted'"),
        (ObjectiveSpec("mean"), "one quantity or more"),
        (ObjectiveSpec("mean", quantities=("fc:",)), "not a unit"),
        (ObjectiveSpec("mean", quantities=("fc:1",), weights=(1.0,)), "no parameter 'weights'"),
        (ObjectiveSpec("mean", quantities=("fc:1",), terms=(LEAF,)), "has no terms"),
        (ObjectiveSpec("weighted", quantities=("fc:1",)), "one weight a quantity"),
        (ObjectiveSpec("sum"), "joins terms"),
        (
            ObjectiveSpec("sum", quantities=("fc:1",), terms=(LEAF,)),
            "no quantities or parameters of its own",
        ),
        (ObjectiveSpec("sum", weights=(1.0, 2.0), terms=(LEAF,)), "1 terms and 2 weights"),
        (ObjectiveSpec("sum", parameters={"p": 1}, terms=(LEAF,)), "1 parameters"),
        (ObjectiveSpec("mean", quantities=("fc:1",), parameters={"p": 1}), "no parameter 'p'"),
        (ObjectiveSpec("mean", parameters={"quantities": ["fc:1"]}), "a field of its own"),
        (ObjectiveSpec("product", terms=(ObjectiveSpec("meen"),)), "did you mean 'mean'"),
    ],
)
def test_bad_objectives_are_explained(spec: ObjectiveSpec, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plugins.build_objective(spec)
