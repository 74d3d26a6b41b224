"""The Python client: create studies on a server, watch them, evaluate for them.

::

    import blackbox_am.client as bam

    with bam.connect("localhost:50051") as client:
        study = client.create(targets=["conv4:7"], generator="cifar_vae", oracle="cifar_cnn")
        print(study.wait().targets)

The client raises the same classes of `blackbox_am.errors` as the server. Importing this package
imports neither torch nor the server.
"""

from blackbox_am.client.candidates import Candidates, TellResult
from blackbox_am.client.client import Client, connect
from blackbox_am.client.group import Group, GroupMember, GroupProgress
from blackbox_am.client.server_info import Probe, ServerInfo, TopImage
from blackbox_am.client.study import Study
from blackbox_am.core.certificates import Tls
from blackbox_am.core.listings import (
    GeneratorListing,
    MeasureListing,
    OptimizerListing,
    OracleListing,
    PlugInListing,
)
from blackbox_am.core.study_events import (
    Adopted,
    BaselineMeasured,
    BestRechecked,
    BudgetChanged,
    Created,
    GenerationClosed,
    GenerationOpened,
    Resumed,
    RowsTold,
    StateChanged,
    StudyEvent,
)

__all__ = [
    "Adopted",
    "BaselineMeasured",
    "BestRechecked",
    "BudgetChanged",
    "Candidates",
    "Client",
    "Created",
    "GenerationClosed",
    "GenerationOpened",
    "GeneratorListing",
    "Group",
    "GroupMember",
    "GroupProgress",
    "MeasureListing",
    "OptimizerListing",
    "OracleListing",
    "PlugInListing",
    "Probe",
    "Resumed",
    "RowsTold",
    "ServerInfo",
    "StateChanged",
    "Study",
    "StudyEvent",
    "TellResult",
    "Tls",
    "TopImage",
    "connect",
]
