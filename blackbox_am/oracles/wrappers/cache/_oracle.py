"""A cache of answers on disk: the same stimulus is measured once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.capability import FORWARD
from blackbox_am.core.identity import Fingerprint, versions_of
from blackbox_am.core.metering import count, metering
from blackbox_am.core.oracle import check_stimuli, check_units
from blackbox_am.core.parameters import check
from blackbox_am.core.repeating import Repeats, asks_afresh, repeats
from blackbox_am.core.rng import Stream
from blackbox_am.core.types import Accounting, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import Denied, InvalidSpec, OracleError
from blackbox_am.oracles.wrappers.cache._answers import AnswerBook, Answers
from blackbox_am.oracles.wrappers.cache._in_progress import InProgress, OpenCache

_OPENING = threading.Lock()
POLL_SECONDS = 0.05
"""Seconds between two checks for an answer that another thread or process is measuring."""


@dataclass(frozen=True)
class Cache(Wrapper):
    """Keeps every answer on disk, and asks the inner oracle only for answers that are missing.

    The key of an answer is the exact bytes of the stimulus, the unit, and the fingerprint of the
    inner oracle: its kind, its parameters, and the contents of its files and of its weights.
    Wrappers that do not change answers, such as `retry`, are not part of the key. Answers are
    valid across studies, restarts, and processes that share the file. A stimulus that is twice
    in a batch, or that two studies need at the same time, is measured once: the second waits for
    the first. Where rows cost something, this holds between processes too.

    A model in memory may change while a cache uses it. A cache notices what PyTorch counts as a
    change of a tensor: steps of training, `load_state_dict`, other operations in place. It does not
    notice changes through `tensor.data`, of plain attributes, or of code; make a new cache around
    the model after such a change, which then computes its fingerprint again.

    Answers keep the precision of the oracle, float32 or float64. Failed rows (nan) are not kept;
    infinite answers are. Gradients are not kept: only forward passes are answered. Where rows
    cost nothing, the missing rows of a batch are padded to the batch's size.

    Attributes:
        path: the SQLite file; `:memory:` for a cache that ends with the process.
        model: a name of the model, in place of its fingerprint: answers then stay valid when an
            address changes, or where the model is an object in this process. Change the name
            when the model changes.
        nondeterministic: whether to keep the first answer of a model that answers differently
            each time. Otherwise such a model is refused.

    Raises:
        InvalidSpec: for an empty path; on the first use, where the model answers differently
            each time, or does not say which it is.
        StoreError: on use, where the file cannot be read or written.
    """

    kind: ClassVar[str] = "cache"

    path: str
    model: str = ""
    nondeterministic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check(bool(self.path), "path", "a file", self.path)

    def around(self, info: OracleInfo) -> OracleInfo:
        if not info.deterministic and not self.nondeterministic:
            raise InvalidSpec(
                "cache: the oracle within answers differently each time, and a cache would "
                "repeat its first answer; set nondeterministic = true if you want that, or put "
                "the cache inside of what makes the noise",
                field="nondeterministic",
            )
        self._open()  # a file that cannot be opened fails here
        if not self.nondeterministic and not self.billable:
            self._check_repeats(info)
        return replace(info, capabilities=info.capabilities & FORWARD, deterministic=True)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        if asks_afresh() and not self.nondeterministic:
            return self.ask(stimuli, units)
        names = [str(unit) for unit in dict.fromkeys(units)]
        wide = torch.float64 if stimuli.dtype == torch.float64 else torch.float32
        rows = stimuli.detach().to("cpu", wide).contiguous().numpy()
        keys = self._keys(rows)
        with torch.no_grad():
            answers = self._answers(stimuli, keys, names)
        dtype = np.result_type(np.float32, *answers.values())
        found = np.array([answers[key] for key in keys], dtype).reshape(len(rows), len(names))
        columns = [names.index(str(unit)) for unit in units]
        return torch.from_numpy(found[:, columns]).to(stimuli.device)

    def close(self) -> None:
        """Closes the file and the inner oracle."""
        with _OPENING:
            opened = vars(self).pop("_opened", None)
        if opened is not None:
            opened.book.close()
        super().close()

    def _check_repeats(self, info: OracleInfo) -> None:
        """Measures whether the inner oracle gives repeatable answers, once for each model and file.

        Not measured for an oracle whose rows cost something: the first study measures it.

        Raises:
            InvalidSpec: if its answers are not repeatable.
        """
        if not info.layers:
            return
        layer = info.layers[-1]
        unit = Unit(layer.name, 0)
        stimuli = Stream(0, "cache", 0).uniform(3, *info.stimulus_shape)[0]
        key, book = self._keys(stimuli[:1].numpy())[0], self._open().book
        if not np.isnan(book.read([key], [str(unit)])[key]).any():
            return
        first: list[torch.Tensor] = []

        def observe(rows: torch.Tensor) -> torch.Tensor:
            first.append(self.ask(rows, [unit]))
            return first[-1]

        try:
            with torch.no_grad():
                found = repeats(observe, stimuli)
        except (OracleError, Denied):
            return  # the next request for an answer raises the same error
        if found is Repeats.NEVER:
            raise InvalidSpec(
                "cache: the oracle within says that it is deterministic, and answers differently "
                f"each time ({unit} of one stimulus, measured); set nondeterministic = true if "
                "you want its first answer to be repeated",
                field="nondeterministic",
            )
        if found is Repeats.ALONE:
            raise InvalidSpec(
                f"cache: an answer of the oracle within depends on the other stimuli in its batch "
                f"({unit}, measured), and a cache gives it back beside others; have the oracle "
                "run one row at a time (rows = 1, where it has that parameter)",
                field="nondeterministic",
            )
        answer = first[0][:1].to("cpu", torch.float32).numpy()
        if np.isfinite(answer).all():
            book.write({key: answer[0]}, [str(unit)])

    def _answers(self, stimuli: torch.Tensor, keys: list[bytes], names: list[str]) -> Answers:
        """(len(names),) activations by key: from the file where they are known, else measured."""
        opened = self._open()
        place = {key: row for row, key in enumerate(keys)}
        known = opened.book.read(keys, names)
        missing = _missing(known)
        measured = 0
        while missing:
            with opened.measuring(missing, claim=self.billable) as (mine, others):
                known |= opened.book.read(mine, names)  # perhaps written meanwhile
                wanted = {k: stimuli[place[k]] for k in mine if np.isnan(known[k]).any()}
                known |= self._measure(wanted, known, names, len(stimuli))
                measured += len(wanted)
            for other in others:
                other.wait(POLL_SECONDS)
            # Rows that other threads and processes failed to measure are measured here.
            done = set(mine)
            missing = [key for key in missing if key not in done]
            known |= opened.book.read(missing, names)
            missing = [key for key in missing if np.isnan(known[key]).any()]
        # If rows cost nothing, a repeated stimulus in a batch serves as padding.
        asked = len(keys) if self.billable else len(known)
        count(Accounting(cache_hits=asked - measured))
        return known

    def _measure(
        self, stimuli: dict[bytes, torch.Tensor], known: Answers, names: list[str], asked: int
    ) -> Answers:
        """Measured answers for `stimuli`; units whose answers are known are not measured again.

        Args:
            asked: the rows of the batch that contains `stimuli`.
        """
        groups: dict[bytes, list[bytes]] = {}
        for key in stimuli:
            groups.setdefault(np.isnan(known[key]).tobytes(), []).append(key)
        answers: Answers = {}
        for pattern, keys in groups.items():
            places = np.flatnonzero(np.frombuffer(pattern, bool))
            wanted = [names[place] for place in places]
            batch = torch.stack([stimuli[key] for key in keys])
            with metering() as spent:
                found = self._ask_padded(batch, [Unit.parse(name) for name in wanted], asked)
                values = found.cpu().numpy()
                good = dict(zip(keys, values, strict=True))
                good = {key: row for key, row in good.items() if not np.isnan(row).any()}
                self._open().book.write(good, wanted)
                spent.keep(spent.total)
            for key, row in zip(keys, values, strict=True):
                answers[key] = known[key].astype(np.promote_types(known[key].dtype, row.dtype))
                answers[key][places] = row
        return answers

    def _ask_padded(self, batch: torch.Tensor, units: Sequence[Unit], asked: int) -> torch.Tensor:
        if self.inner.billable:
            return self.ask(batch, units)
        return in_fixed_batches(lambda rows: self.ask(rows, units), batch, asked)

    def _keys(self, rows: NDArray[Any]) -> list[bytes]:
        head = hashlib.blake2b(
            f"{rows.dtype}{rows.shape[1:]}".encode(), digest_size=16, key=self._salt()
        )
        keys = []
        for row in rows:
            digest = head.copy()
            digest.update(row.data)
            keys.append(digest.digest())
        return keys

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the inner oracle, or `model` if given."""
        if not self.model:
            return super().fingerprint()
        return Fingerprint(self.kind, {"model": repr(self.model)})

    def _salt(self) -> bytes:
        """The beginning of every answer's key."""
        if self.model:
            return hashlib.blake2b(self.model.encode(), digest_size=32).digest()
        # A model in memory may be trained between two calls.
        versions = versions_of(self.inner)
        with _OPENING:
            known: tuple[object, bytes] | None = vars(self).get("_salted")
        if known is None or known[0] != versions:
            found = self.inner.fingerprint()
            if found.unnamed and self.path != ":memory:":
                raise InvalidSpec(
                    f"cache: no other process could tell which model this {found.kind} oracle is "
                    f"({', '.join(found.unnamed)} has no name outside this process); name it in "
                    "the oracle's parameter `model`, or in that of the cache",
                    field="model",
                )
            known = (versions, hashlib.blake2b(found.digest.encode(), digest_size=32).digest())
            with _OPENING:
                vars(self)["_salted"] = known
        return known[1]

    def _open(self) -> OpenCache:
        with _OPENING:
            if "_opened" not in vars(self):
                vars(self)["_opened"] = OpenCache(AnswerBook(self.path), InProgress())
            opened: OpenCache = vars(self)["_opened"]
            return opened


def _missing(known: Answers) -> list[bytes]:
    return [key for key, row in known.items() if np.isnan(row).any()]
