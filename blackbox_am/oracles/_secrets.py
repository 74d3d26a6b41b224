"""Secrets by reference: a configuration contains the place of a secret, never the secret itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from blackbox_am.errors import InvalidSpec, MessageTooLarge, NotFound, OracleError

_REFERENCE = re.compile(r"\$\{(file:)?([^{}]+)\}")


def resolved_headers(headers: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Headers with their references replaced by secrets, and a list of these secrets.

    Raises:
        InvalidSpec: as `resolved`, naming the header.
    """
    found, secrets = {}, []
    for name, text in headers.items():
        found[name], mine = resolved(f"headers.{name}", text)
        secrets += mine
    return found, secrets


def struck_out(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced by ***."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


@contextmanager
def without_secrets(name: str, secrets: Iterable[str]) -> Iterator[None]:
    """Messages of errors raised inside the context begin with `name`, and secrets in them are
    hidden.
    """
    try:
        yield
    except (OracleError, MessageTooLarge, NotFound) as error:
        message = struck_out(f"{name}: {error.message}", secrets)
        # The cause is dropped, because its traceback would show the secrets.
        raise type(error)(message, retry_after=error.retry_after) from None


def resolved(field: str, text: str) -> tuple[str, list[str]]:
    """A text with ``${NAME}`` and ``${file:PATH}`` replaced by secrets, and a list of these
    secrets.

    Raises:
        InvalidSpec: if the variable or file does not exist, or its content cannot be part of a
            header. The message never contains the content.
    """
    secrets: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match[2]
        try:
            secret = Path(name).read_text("utf-8") if match[1] else os.environ[name]
        except KeyError as error:
            raise InvalidSpec(
                f"{field}: the environment variable {name!r} is not set", field=field
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise InvalidSpec(f"{field}: cannot read {name}: {reason}", field=field) from error
        secret = secret.strip()
        if not secret or not secret.isascii() or not secret.isprintable():
            raise InvalidSpec(
                f"{field}: what {match[0]} names is empty, or holds characters that a header "
                "cannot",
                field=field,
            ) from None
        secrets.append(secret)
        return secret

    return _REFERENCE.sub(value, text), secrets
