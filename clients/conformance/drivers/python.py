"""The driver of the Python client: `python -m clients.conformance.drivers.python`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from blackbox_am.errors import BlackboxError
from clients.conformance.drivers import encoding
from clients.conformance.drivers.candidates import CandidateVerbs
from clients.conformance.drivers.catalogue import CatalogueVerbs
from clients.conformance.drivers.models import ModelFault
from clients.conformance.drivers.session import DriverFault, Plain, given
from clients.conformance.drivers.studies import StudyVerbs


class Driver(StudyVerbs, CandidateVerbs, CatalogueVerbs):
    """Carries out the verbs of the protocol; each public method is a verb."""


def answer(driver: Driver, request: Plain) -> Plain:
    """The answer to one request."""
    verb = request.get("do")
    arguments = given({key: request[key] for key in request.keys() - {"id", "do"}})
    verbs = driver.hello()["verbs"]
    if verb not in verbs:
        message = f"unknown verb {verb!r}; known: {', '.join(verbs)}"
        return {"id": request["id"], "error": {"kind": "Driver", "message": message}}
    try:
        method: Callable[..., Plain] = getattr(driver, str(verb))
        return {"id": request["id"], "ok": method(**arguments)}
    except BlackboxError as error:
        return {"id": request["id"], "error": encoding.error(error)}
    except ModelFault as error:
        return {"id": request["id"], "error": {"kind": "Model", "message": str(error)}}
    except (DriverFault, KeyError, TypeError) as error:
        return {"id": request["id"], "error": {"kind": "Driver", "message": repr(error)}}


def main() -> None:
    """Answers the requests on standard input."""
    driver = Driver()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(driver, json.loads(line)), allow_nan=False) + "\n")
        sys.stdout.flush()
    driver.stop_oracle()
    driver.close()


if __name__ == "__main__":
    main()
