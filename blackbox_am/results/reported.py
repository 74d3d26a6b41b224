"""The methods that results and studies on servers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_am.core.shown import ShownRow, ShownRows
from blackbox_am.core.types import StudyProgress

if TYPE_CHECKING:
    from blackbox_am.results.figures import Figures
    from blackbox_am.results.result import Result


class Reported(ABC):
    """An object with a study's results: in notebooks, as tables, as figures, and as files."""

    @abstractmethod
    def result(self) -> Result:
        """The result so far, with stimuli."""

    def latest(self) -> StudyProgress:
        """The progress as of now."""
        return self.result().progress

    @abstractmethod
    def blocks(
        self, *, latents: bool = True, stimuli: bool = False, targets: tuple[int, ...] = ()
    ) -> Iterator[ShownRows]:
        """What was shown, as arrays for each generation; arguments and errors as for `rows`."""

    def rows(
        self, *, latents: bool = True, stimuli: bool = False, targets: tuple[int, ...] = ()
    ) -> Iterator[ShownRow]:
        """Every measured candidate, in the order of generation, target and row.

        Latents are exactly those that were measured. They come from the journal, or the optimizer
        proposes them again, without a call of the oracle, and they are compared with checksums.
        Stimuli are rendered again, before the transformations of the study.

        Natural images of a baseline and the rows that test an oracle are no candidates.

        Args:
            latents: whether to give the latents.
            stimuli: whether to render the stimuli.
            targets: only candidates of these targets; all if empty.

        Raises:
            Unsupported: if the latents are neither in the journal nor can be proposed again, as
                for optimizers that climb gradients, or if there is no journal.
            ModelChanged: if another generator rendered the stimuli.
        """
        for block in self.blocks(latents=latents, stimuli=stimuli, targets=targets):
            yield from block

    def to_dataframe(self) -> Any:
        """The history as a pandas DataFrame: one line for each measured candidate, with the columns
        `study`, `generation`, `target`, `title`, `row`, `recheck` and `score`, and one column for
        each measured quantity.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        from blackbox_am.results.frames import dataframe

        return dataframe(self)

    def to_xarray(self) -> Any:
        """The result as an xarray Dataset: `score` (generation, target, row) of the search, and for
        each target `best_score`, `best_latent` and `best_stimulus`.

        Raises:
            MissingExtra: if xarray is not installed.
        """
        from blackbox_am.results.frames import dataset

        return dataset(self.result())

    def save(self, folder: Path | str, *, latents: bool | None = None) -> Path:
        """Writes the result into a folder, which `blackbox_am.load` reads.

        ================  ==========================================================================
        file              content
        ================  ==========================================================================
        `study.json`      specification, versions, fingerprints of the models, accounts, and the
                          best candidates: what reproduces the study
        `best.npz`        latents and stimuli of the best candidates, exactly
        `NNN_TITLE.png`   the best stimulus of each target
        `history.csv`     one line for each measured candidate; `history.parquet` too if the package
                          pyarrow is installed
        `history.npz`     the same as arrays, and with `latents` also all latents
        `best.svg`        the best stimuli with their scores
        `convergence.svg` the best score against the number of queries
        ================  ==========================================================================

        Args:
            folder: the folder, which is created if it is missing.
            latents: whether `history.npz` has all latents. If None, it has them if the journal has
                them; True also has latents proposed again, see `rows`.

        Returns:
            The folder.

        Raises:
            InvalidInput: if the folder has another study, or cannot be written.
            Unsupported: if `latents` is true and they cannot be given.
        """
        from blackbox_am.results.saving import save

        return save(self, Path(folder), latents)

    @property
    def plot(self) -> Figures:
        """Figures of the result; each method returns axes of matplotlib."""
        from blackbox_am.results.figures import Figures

        return Figures(self)

    def _repr_html_(self) -> str:
        """The result in a notebook."""
        from blackbox_am.results.html import page

        return page(self.result())
