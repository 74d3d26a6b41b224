"""The files of a report for programs: `summary.json` and `rows.csv`."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from blackbox_am.attacks.distances import changes_between, distances
from blackbox_am.attacks.problem import LATENT, NORMS
from blackbox_am.attacks.report.audit import Audit, audit
from blackbox_am.attacks.report.digests import input_digests
from blackbox_am.attacks.report.flags import Flag
from blackbox_am.attacks.report.statistics import Statistics, statistics
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome
from blackbox_am.core.types import Accounting
from blackbox_am.errors import InvalidInput

FORMAT = "blackbox_am attack report 1"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula."""


class ResultSummary(msgspec.Struct, frozen=True):
    """One result of a report, without its inputs.

    Attributes:
        title: a short title that no other result of the report has.
        attack, parameters, norm, eps, targeted, budget, seed, oracle, identity, classes, spent,
            warnings, complete, own_labels: as in `AttackResult`.
        statistics: the numbers.
        audit: what the stored inputs show.
        flags: all flags, those of the audit too.
        arrays: name of the file with the stored inputs.
    """

    title: str
    attack: str
    parameters: dict[str, Any]
    norm: str
    eps: float
    targeted: bool
    budget: int
    seed: int
    oracle: str
    identity: dict[str, str]
    classes: tuple[str, ...]
    spent: Accounting
    warnings: tuple[str, ...]
    complete: bool
    own_labels: bool
    statistics: Statistics
    audit: Audit
    flags: tuple[Flag, ...]
    arrays: str


class Summary(msgspec.Struct, frozen=True):
    """The content of `summary.json`.

    Attributes:
        format: `FORMAT`.
        title: title of the report.
        results: the results, in order.
    """

    format: str
    title: str
    results: tuple[ResultSummary, ...]


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `rows.csv`: one input of one result.

    Attributes:
        result: number of the result in the report, from 0.
        index, name, outcome, label, target, queries, clean_label, clean_score, adversarial_label,
            adversarial_score, verified, message: as in `AttackedInput`.
        digest: identity of the clean input, see `input_digests`.
        label_name, target_name, clean_name, adversarial_name: names of the classes.
        linf, l2, l0: distance of the stored adversarial input, measured in float64.
        latent: distance of the codes, of an attack in a latent space.
    """

    result: int
    index: int
    name: str
    digest: str
    outcome: Outcome
    queries: int
    label: int | None = None
    label_name: str = ""
    target: int | None = None
    target_name: str = ""
    clean_label: int | None = None
    clean_name: str = ""
    clean_score: float | None = None
    adversarial_label: int | None = None
    adversarial_name: str = ""
    adversarial_score: float | None = None
    verified: bool | None = None
    linf: float | None = None
    l2: float | None = None
    l0: float | None = None
    latent: float | None = None
    message: str = ""


def summary_of(
    result: AttackResult, title: str, flags: Sequence[Flag], arrays: str
) -> ResultSummary:
    """The summary of one result."""
    return ResultSummary(
        title=title,
        attack=result.attack,
        parameters=dict(result.parameters),
        norm=result.norm,
        eps=result.eps,
        targeted=result.targeted,
        budget=result.budget,
        seed=result.seed,
        oracle=result.oracle,
        identity=dict(result.identity),
        classes=result.classes,
        spent=result.spent,
        warnings=result.warnings,
        complete=result.complete,
        own_labels=result.own_labels,
        statistics=statistics(result),
        audit=audit(result),
        flags=tuple(flags),
        arrays=arrays,
    )


def encode_summary(summary: Summary) -> bytes:
    """`summary` as indented JSON; values that JSON does not have are texts."""
    return msgspec.json.format(msgspec.json.encode(summary, enc_hook=str), indent=2) + b"\n"


def decode_summary(body: bytes) -> Summary:
    """The summary that `encode_summary` wrote.

    Raises:
        InvalidInput: for other bytes, or another version of the format.
    """
    try:
        found = msgspec.json.decode(body, type=Summary)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"expected the summary of an attack report: {error}") from error
    if found.format != FORMAT:
        raise InvalidInput(f"expected the format {FORMAT!r}, got {found.format!r}")
    return found


def rows_of(result: AttackResult, number: int) -> list[Row]:
    """The lines of result `number`, in the order of its inputs."""
    change = changes_between(result.clean, result.adversarial)
    measured = {norm: distances(change, norm) for norm in NORMS}
    digests = input_digests(result.clean)
    return [
        _row(result, one, number, digests[place], {k: float(v[place]) for k, v in measured.items()})
        for place, one in enumerate(result.inputs)
    ]


def encode_rows(rows: Sequence[Row]) -> bytes:
    """The rows as CSV with a header; an empty cell is a missing value.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    body = io.StringIO()
    writer = csv.DictWriter(body, Row.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        plain = msgspec.to_builtins(row)
        writer.writerow({name: _cell(value) for name, value in plain.items()})
    return body.getvalue().encode()


def write_parquet(rows: Sequence[Row], path: Path) -> bool:
    """Write the rows as Parquet if the package pyarrow is installed; returns whether it is."""
    if importlib.util.find_spec("pyarrow") is None:
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    fields = []
    for name, hint in get_type_hints(Row).items():
        kind = next(iter(get_args(hint)), hint)  # int of int | None
        fields.append((name, kinds.get(kind, pa.string())))
    plain = [msgspec.to_builtins(row) for row in rows]
    pq.write_table(pa.Table.from_pylist(plain, pa.schema(fields)), path)
    return True


def decode_rows(body: bytes) -> list[Row]:
    """The rows that `encode_rows` wrote.

    Raises:
        InvalidInput: for other bytes.
    """
    try:
        lines = csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True)
        return [
            msgspec.convert(
                {name: _text(cell) for name, cell in line.items() if cell}, Row, strict=False
            )
            for line in lines
        ]
    except (msgspec.ValidationError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"expected the rows of an attack report: {error}") from error


def _row(
    result: AttackResult, one: AttackedInput, number: int, digest: str, measured: dict[str, float]
) -> Row:
    def named(label: int | None) -> str:
        known = label is not None and 0 <= label < len(result.classes)
        return result.classes[label] if known and label is not None else ""

    return Row(
        result=number,
        index=one.index,
        name=one.name,
        digest=digest,
        outcome=one.outcome,
        queries=one.queries,
        label=one.label,
        label_name=named(one.label),
        target=one.target,
        target_name=named(one.target),
        clean_label=one.clean_label,
        clean_name=named(one.clean_label),
        clean_score=one.clean_score,
        adversarial_label=one.adversarial_label,
        adversarial_name=named(one.adversarial_label),
        adversarial_score=one.adversarial_score,
        verified=one.verified,
        message=one.message,
        latent=one.distances.get(LATENT),
        **measured,
    )


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith((*_FORMULAS, "'")):
        return f"'{value}"
    return value


def _text(cell: str) -> str:
    return cell.removeprefix("'")
