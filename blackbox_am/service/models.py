"""The models of a study on this server: look-up by name, and comparison with those of its
beginning.
"""

from __future__ import annotations

from blackbox_am.core.spec import StudySpec
from blackbox_am.errors import ModelChanged
from blackbox_am.service.backend import Backend
from blackbox_am.studies.events import Adopted
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.reopening import check_models, model_changes
from blackbox_am.studies.resolving import Request, check_adopted
from blackbox_am.studies.starts import source_of
from blackbox_am.studies.transforming import transformed


def request_of(backend: Backend, spec: StudySpec) -> Request:
    """The request for `spec`, with the models of this server.

    Raises:
        NotFound: for an oracle, generator or starting study that this server does not have.
    """
    return Request(
        spec=spec,
        generator=backend.generator_of(spec),
        oracle=transformed(None if spec.oracle is None else backend.oracle(spec.oracle), spec),
        network=backend.network,
        device=backend.device,
        source=source_of(spec, backend.store),
        images=backend.images_of(spec),
    )


def check(backend: Backend, study_id: str, *, adopt: bool = False) -> None:
    """Checks, before a study is resumed, that its models are those of its beginning.

    Args:
        backend: the server's studies and models.
        study_id: the study.
        adopt: whether the study continues with other models; the journal then records the change.

    Raises:
        ModelChanged: if a model has changed, and `adopt` is false.
        InvalidInput: if the study cannot continue with the models of this server.
    """
    study = backend.registry.load(study_id)
    if not study.state.active:
        return
    request = request_of(backend, study.spec)
    changed = model_changes(study, *request.fingerprints)
    if changed and not adopt:
        check_models(study_id, study, *request.fingerprints)
    if changed:
        check_adopted(study, request)
        adopted = Adopted(*request.fingerprints, changed, study.generation)
        backend.registry.act(study_id, lambda live: live.adopt(adopted))


def check_asked(backend: Backend, live: LiveStudy) -> None:
    """Checks the generator of a study that clients evaluate, once for as long as the study is in
    memory.

    The worker that calls the study's oracle checks the oracle.

    Raises:
        ModelChanged: if the generator has changed. The study is then paused.
    """
    spec = live.study.spec
    if live.models_checked or spec.generator is None:
        return
    try:
        generator = backend.generator_of(spec)
        found = None if generator is None else generator.fingerprint()
        check_models(live.study_id, live.study, None, found)
    except ModelChanged as error:
        live.suspend(error.message)
        raise
    live.models_checked = True
