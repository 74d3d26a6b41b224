"""Follows the unit axis through a forward pass, operation by operation."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from blackbox_am.oracles._marks import Mark, Operand, of_layer
from blackbox_am.oracles.torch._operations import Call, mark_of_result


class UnitFlow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch does not annotate it
    """Marks every tensor that depends on the stimuli, while a model runs in its context.

    Args:
        stimuli: the model's input.
        channels: the axis of their channels, a guess for layers before the first weights.

    Attributes:
        class_lengths: lengths of the token sequences that begin with a class token.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, because the default wrapper would import the compiler, which takes seconds."""
        return False

    def __init__(self, stimuli: torch.Tensor, channels: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.class_lengths: set[int] = set()
        self._paused = False
        self._births = 0
        self._rows = len(stimuli)
        self._marks: dict[int, tuple[weakref.ref[torch.Tensor], Mark]] = {}
        self._factory_made: dict[int, weakref.ref[torch.Tensor]] = {}
        self._put(stimuli, Mark((channels,), weak=True))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Operations in this context are not followed."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def mark_of(self, tensor: torch.Tensor) -> Mark | None:
        """The mark of a tensor; None if the tensor is not known to depend on the stimuli."""
        found = self._marks.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def settle(self, tensor: torch.Tensor, axis: int, *, own: bool) -> None:
        """Records that `axis` is the unit axis of `tensor`, according to the class of a module.

        Args:
            tensor: a module's output or input.
            axis: the unit axis.
            own: whether the module computed the tensor. The axis of an input is used only if
                nothing better is known.
        """
        mark = self.mark_of(tensor)
        if mark is None or (mark.axes == (axis,) and not mark.weak):
            return
        if not mark.weak and mark.of_groups(tensor, (axis,)):
            return
        composite = len(mark.axes) > 1 and axis in mark.axes
        if own or mark.weak or not mark.axes or composite:
            mark.axes, mark.weak, mark.birth = (axis,), False, self._born()

    def settle_groups(self, read: torch.Tensor, values: torch.Tensor) -> None:
        """Records the units of a linear layer that may have read groups of units, such as heads.

        Args:
            read: the layer's input.
            values: the layer's output.
        """
        mark, before = self.mark_of(values), self.mark_of(read)
        if mark is not None and before is not None:
            mark.axes = of_layer(Operand(0, read, before, constant=False), values).axes

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if self._paused or not isinstance(func, torch._ops.OpOverload):  # noqa: SLF001  # no public name
            return func(*args, **(kwargs or {}))
        call = Call(func, args, kwargs or {})
        operands = [
            Operand(place, tensor, self.mark_of(tensor), self._is_constant(tensor))
            for place, tensor in call.tensors()
        ]
        depends = any(operand.mark is not None for operand in operands)
        if depends:
            with self.paused():
                call.keep_what_changes()
        result = func(*args, **(kwargs or {}))
        for place, out in enumerate(tree_leaves(result)):
            if not isinstance(out, torch.Tensor):
                continue
            if depends:
                with self.paused():
                    mark = mark_of_result(call, operands, place, out, self._rows)
                mark.birth = mark.birth or self._born()
                self._put(out, mark)
                self._put_base(out, mark)
                if mark.class_axis is not None:
                    self.class_lengths.add(out.shape[mark.class_axis])
            elif not any(operand.constant for operand in operands):
                self._factory_made[id(out)] = weakref.ref(out)
        return result

    def _put(self, tensor: torch.Tensor, mark: Mark) -> None:
        self._marks[id(tensor)] = (weakref.ref(tensor), mark)

    def _put_base(self, part: torch.Tensor, mark: Mark) -> None:
        """Marks a tensor that depends on the stimuli because a part was written, as by
        `y[:, :, :4] = x`.
        """
        whole = part._base  # noqa: SLF001  # has no public name
        if whole is None or self.mark_of(whole) is not None:
            return
        axes = tuple(
            place
            for axis in mark.axes
            for place in range(whole.ndim)
            if part.stride(axis) == whole.stride(place)
        )
        self._put(whole, replace(mark, axes=axes if len(axes) == len(mark.axes) else ()))

    def _is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor belongs to the model, or was computed from the model's tensors only."""
        made = self._factory_made.get(id(tensor))
        return self.mark_of(tensor) is None and not (made is not None and made() is tensor)

    def _born(self) -> int:
        self._births += 1
        return self._births
