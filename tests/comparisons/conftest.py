import pytest

from blackbox_am.comparisons import local


@pytest.fixture
def unwritten(monkeypatch):
    """No report is written: pictures and figures take seconds."""
    monkeypatch.setattr(local, "write_all", lambda result, folder: folder)
