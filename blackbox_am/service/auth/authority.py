"""All that decides about a call: tokens, roles, ownership, quotas; and the log of the decisions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blackbox_am.core.store import Store
from blackbox_am.errors import BlackboxError, Denied, Forbidden, QuotaExceeded, Unauthenticated
from blackbox_am.rpc.status import reason_of
from blackbox_am.service.auth.audit import AuditLog
from blackbox_am.service.auth.ownership import check_request, mark_request, missing
from blackbox_am.service.auth.permissions import CHANGES, check_role
from blackbox_am.service.auth.principals import Principal, acting_as, only_of
from blackbox_am.service.auth.quotas import Quota, Quotas
from blackbox_am.service.auth.tokens import Authenticator

_REFUSALS = {reason_of(kind) for kind in (Denied, Unauthenticated, Forbidden, QuotaExceeded)}
_RESOURCES = ("name", "study_id", "group_id")


class Authority:
    """Decides about calls.

    Args:
        store: has the tokens and the claims.
        limits: the quotas by principal.
        audit_log: file of the audit log; None for none.

    Attributes:
        tokens: finds the principal of a call.
        claims: what belongs to whom.
        quotas: what principals may use.

    Raises:
        StoreError: if the audit log cannot be written.
    """

    def __init__(self, store: Store, limits: Mapping[str, Quota], audit_log: Path | None) -> None:
        self.tokens = Authenticator(store.tokens)
        self.claims = store.claims
        self.quotas = Quotas(limits, store.claims)
        self._audit = None if audit_log is None else AuditLog(audit_log)

    def identify(self, metadata: Any) -> Principal | None:
        """The caller that the metadata of a call prove; None if no token is needed. May read the
        store.

        Raises:
            Unauthenticated: if the caller is unknown.
        """
        return self.tokens.principal(metadata)

    def admit(self, principal: Principal | None, method: str, request: Any) -> None:
        """Decides about a call. May read the store.

        Raises:
            Forbidden: if the caller's role is too small.
            QuotaExceeded: if the caller makes too many requests.
            NotFound: if something that the request names belongs to another caller.
        """
        if principal is not None:
            with acting_as(principal):
                self.quotas.request()
                check_role(principal, method)
                check_request(self.claims, request)
                mark_request(request)

    def recheck(self, method: str, request: Any, metadata: Any, *, names: bool) -> None:
        """Decides again about a call that goes on.

        Args:
            method, request, metadata: as for `admit`.
            names: whether to check again what the request names.

        Raises:
            BlackboxError: as `identify` and `admit`.
        """
        principal = self.identify(metadata)
        if principal is not None:
            with acting_as(principal):
                check_role(principal, method)
                if names:
                    check_request(self.claims, request)

    def owner(self, resource: str) -> str:
        """The owner of a study or group; empty if nobody owns it, and on a server without tokens.

        Raises:
            NotFound: if it belongs to another caller by now.
        """
        if not self.tokens.required():
            return ""
        owner, only = self.claims.owner(resource), only_of()
        if only not in (None, owner):
            raise missing(resource)
        return owner

    def logs(self, method: str, reason: str = "") -> bool:
        """Whether a call is written to the audit log: changes, and calls that are refused for
        `reason`.
        """
        return self._audit is not None and (method in CHANGES or reason in _REFUSALS)

    def log(
        self, principal: Principal | None, peer: str, method: str, resource: str, outcome: str
    ) -> None:
        """Writes a call to the audit log, if there is one.

        Raises:
            StoreError: if the line cannot be written.
        """
        if self._audit is not None:
            self._audit.write(principal, peer, method.rpartition("/")[2], resource, outcome)

    def close(self) -> None:
        """Closes the audit log."""
        if self._audit is not None:
            self._audit.close()


def resource_of(request: Any, response: Any = None) -> str:
    """What a call was about: the name in its response, or in its request."""
    for message in (response, getattr(response, "study", None), getattr(response, "group", None)):
        name = getattr(message, "name", "")
        if isinstance(name, str) and name:
            return name
    for field in _RESOURCES:
        try:
            text = getattr(request, field, "")
        except BlackboxError:  # the request cannot be read
            return ""
        if isinstance(text, str) and text:
            return text
    return ""
