"""The check of a machine and of a configuration, before a server starts or when one does not."""

from blackbox_am.service.doctor.certificates import days_left
from blackbox_am.service.doctor.checks import Finding, Level, examine

__all__ = ["Finding", "Level", "days_left", "examine"]
