"""An attack on a model of a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.attacks.asked import Asked
from blackbox_am.attacks.classes import classes_of
from blackbox_am.attacks.inputs import given_inputs
from blackbox_am.attacks.planning import Inputs
from blackbox_am.attacks.problem import LATENT
from blackbox_am.attacks.results import AttackResult
from blackbox_am.attacks.run import Run, Suggest, run
from blackbox_am.attacks.running import Found
from blackbox_am.client.client import Client
from blackbox_am.core.pictures import Pictures
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import StudyProgress, StudyState
from blackbox_am.errors import NotFound, OracleFailed, Unsupported


def attack(
    client: Client,
    *,
    oracle: str,
    images: Pictures,
    asked: Asked | None = None,
    suggest: Suggest | None = None,
    layer: str | None = None,
    study_id: str = "attack",
    adopt: bool = False,
    on_progress: Callable[[str, StudyProgress], None] = lambda stage, progress: None,
    clean_id: str = "",
    before: Sequence[AttackResult] = (),
) -> AttackResult:
    """Attacks a classifier of a server, as `attacks.local.attack` does in this process.

    The inputs are sent to the server once. The server runs the studies `{study_id}-clean`,
    `-search` and `-verify-DIGEST`, also if this process ends; a repeated call finds and continues
    them.

    Args:
        client: a connection to the server.
        oracle: name of the classifier.
        images: as of `attacks.local.attack`.
        asked: labels, ball, method and limits.
        suggest: suggests where the search begins, such as `attacks.transfer.suggestions_of` a
            model of this process.
        layer: the layer of the class scores, or with the number of the predicted class; the last
            layer of several scores if None.
        study_id: the beginning of the ids of the studies.
        adopt: whether to continue with another classifier than at the beginning.
        on_progress: called with the stage and its progress when it changes.
        clean_id, before: as of `attacks.local.attack_as`.

    Raises:
        NotFound: if the server has no such oracle, or no generator `perturbation`.
        OracleFailed: if a study failed.
        BlackboxError: as `attacks.local.attack`.
    """
    info = client.oracle_info(oracle)
    asked = asked or Asked()
    if asked.norm == LATENT:
        raise Unsupported(
            "norm: an attack in a latent space runs in this process, which has the autoencoder; "
            "leave --server out, with an oracle of the kind `remote` for a model of the server",
            field="norm",
        )
    given, goals, problems = asked.about(given_inputs(images, info.stimulus_shape))
    inputs = Inputs(
        info.stimulus_shape,
        len(given.stimuli),
        oracle,
        client.write_array(given.stimuli),
        info.fingerprint,
    )
    runner = RemoteRunner(client, study_id, adopt, on_progress, clean_id or study_id)
    classes = classes_of(info, layer, oracle)
    what = Run(given, goals, classes, inputs, suggest, before, asked.repeats)
    return run(problems, what, runner)


@dataclass(frozen=True)
class RemoteRunner:
    """Runs the studies of an attack on a server.

    Attributes:
        client: a connection to the server.
        study_id: the beginning of the studies' ids.
        adopt, on_progress: as of `attack`.
        clean_id: the beginning of the id of the study of the clean inputs.
    """

    client: Client
    study_id: str
    adopt: bool
    on_progress: Callable[[str, StudyProgress], None]
    clean_id: str

    def keep(self, stimuli: NDArray[Any]) -> str:
        """See `Runner.keep`."""
        return self.client.write_array(stimuli)

    def known(self, name: str) -> StudySpec | None:
        """See `Runner.known`."""
        try:
            return self.client.study(self._id(name)).spec()
        except NotFound:
            return None

    def _id(self, name: str) -> str:
        shared = name == "clean" or name.startswith("repeat")
        return f"{self.clean_id if shared else self.study_id}-{name}"

    def run(self, name: str, spec: StudySpec, stimuli: NDArray[Any]) -> Found:
        """See `Runner.run`.

        Raises:
            OracleFailed: if the study failed.
        """
        del stimuli  # the server has them
        study = self.client.create_from(spec, study_id=self._id(name), adopt=self.adopt)
        progress = study.progress()
        if progress.state in (StudyState.PAUSED, StudyState.FAILED):
            progress = study.resume(adopt=self.adopt)  # a repeated call continues the study
        for progress in study.follow():
            self.on_progress(name, progress)
            if progress.state is StudyState.PAUSED:
                break
        if progress.state is StudyState.FAILED and not study.best():
            raise OracleFailed(f"study {study.id} failed: {progress.message}")
        return Found(progress, study.best(stimuli=True, dtype="float32"))
