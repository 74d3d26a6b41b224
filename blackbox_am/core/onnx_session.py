"""Sessions of ONNX Runtime for models and for generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, OracleFailed, did_you_mean


def model_files(path: str | Path) -> tuple[Path, ...]:
    """The file of a model, and the files in which it stores its larger tensors.

    Raises:
        NotFound: if the file does not exist.
        MissingExtra: if `onnx`, which finds the other files, is not installed.
        InvalidSpec: if the file is not an ONNX model.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFound(f"model: there is no file {str(path)!r}", field="model")
    try:
        import onnx
        from onnx.external_data_helper import uses_external_data
    except ImportError as error:
        raise MissingExtra.of("onnx", "onnx") from error
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # errors of protobuf and of onnx
        raise InvalidSpec(
            f"model: cannot read {str(path)!r} as an ONNX model: {error}", field="model"
        ) from error
    beside = {
        entry.value
        for tensor in model.graph.initializer
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return (path, *(path.parent / name for name in sorted(beside)))


def open_session(
    model: Any,
    source: str,
    providers: Sequence[str],
    provider_options: Mapping[str, Mapping[str, str]],
    threads: int | None,
    *,
    optimise: bool = True,
) -> Any:
    """An `onnxruntime.InferenceSession` for a file's path or its bytes.

    Args:
        model: path or bytes.
        source: name of the model in messages.
        providers: execution providers, in order of preference.
        provider_options: options of each provider, by name of the provider.
        threads: number of threads of one operator; ONNX Runtime's choice if None.
        optimise: whether nodes are merged and replaced, which changes the last bits of values.

    Raises:
        MissingExtra: if `onnxruntime` is not installed.
        InvalidSpec: if a provider does not exist or the model cannot run.
        OracleFailed: if a provider does not start.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra.of("onnxruntime", "onnx") from error
    available = onnxruntime.get_available_providers()
    for name in providers:
        if name not in available:
            raise InvalidSpec(
                f"providers: this onnxruntime has no {name!r}{did_you_mean(name, available)}",
                field="providers",
            )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.use_deterministic_compute = True
    options.intra_op_num_threads = threads or 0
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = [(name, dict(provider_options.get(name, {}))) for name in providers]
    try:
        session = onnxruntime.InferenceSession(model, options, providers=wanted)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class.
        raise InvalidSpec(
            f"model: ONNX Runtime cannot run {source}: {error}", field="model"
        ) from error
    # Without a provider's libraries, ONNX Runtime continues silently on the CPU.
    missing = [name for name in providers if name not in session.get_providers()]
    if missing:
        raise OracleFailed(
            f"ONNX Runtime could not start {', '.join(missing)} (is its driver there?); "
            "leave it out of the providers to go without"
        )
    return session
