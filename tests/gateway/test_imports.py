"""The gateway starts without torch and without the server's code."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from blackbox_am.gateway import Settings, create_app
create_app(Settings("localhost:1"))
for name in ("torch", "matplotlib", "blackbox_am.service", "blackbox_am.studies", "scipy"):
    assert name not in sys.modules, name
"""


@pytest.mark.slow
def test_neither_torch_nor_the_server():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
