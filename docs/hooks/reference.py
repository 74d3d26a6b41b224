"""Pages of the reference, made from the code when the site is built."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos" / "blackbox_am" / "v1"
READMES = {"optimizers": "optimizers", "generators": "generators", "transforms": "transforms"}
"""Pages of the reference, and the packages whose README.md they are."""
_SERVICE = re.compile(r"((?:^//.*\n)*)^service (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_CALL = re.compile(
    r"((?:^ +//.*\n)*)^ +rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)", re.MULTILINE
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages to the site."""
    for name, page in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files


def pages() -> dict[str, str]:
    """Markdown of each page, by its name."""
    made = {name: "\n".join(lines()) for name, lines in _MADE.items()}
    for name, package in READMES.items():
        made[name] = (ROOT / "blackbox_am" / package / "README.md").read_text("utf-8")
    return made


def command_line() -> Iterator[str]:
    """Every command with its arguments and options."""
    from blackbox_am.cli.app import every_command
    from blackbox_am.cli.failures import EXIT_CODES

    yield from ("# Command line", "", EXIT_CODES, "")
    yield from _commands(every_command(), "blackbox-am")


def _commands(command: Any, path: str) -> Iterator[str]:
    for name, child in getattr(command, "commands", {}).items():
        if child.hidden:
            continue
        whole = f"{path} {name}"
        yield from (f"## `{whole}`" if path == "blackbox-am" else f"### `{whole}`", "")
        yield from (_paragraphs(child.help or ""), "")
        yield from _parameters(child)
        yield from _commands(child, whole)


def _parameters(command: Any) -> Iterator[str]:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    shown = [one for one in shown if one.name != "help"]
    if not shown:
        return
    yield from ("| option | meaning |", "|---|---|")
    for one in shown:
        names = (
            ", ".join(one.opts)
            if one.param_type_name == "option"
            else (one.metavar or one.name).upper()
        )
        text = " ".join((getattr(one, "help", None) or "").split())
        needed = " Required." if one.required else ""
        plain = isinstance(one.default, (int, float, str)) and one.default not in ("", False)
        default = f" Default: `{one.default}`." if plain else ""
        yield f"| `{names}` | {_cell(text)}{needed}{default} |"
    yield ""


def configuration() -> Iterator[str]:
    """Every key of a configuration."""
    from blackbox_am.service import config_reference

    for line in config_reference.reference():
        yield _escaped(line)


def python() -> Iterator[str]:
    """Every public name of the package."""
    import blackbox_am

    yield from ("# Python", "", "The names of `import blackbox_am`. They are loaded when used.", "")
    for name in sorted(blackbox_am.__all__, key=str.lower):
        if name.startswith("__"):
            continue
        found = getattr(blackbox_am, name)
        yield from (f"## `{name}`", "", "```text", f"{name}{_signature(found)}", "```", "")
        yield from ("```text", inspect.getdoc(found) or "", "```", "")


def wire() -> Iterator[str]:
    """Every service and call, from the protos."""
    yield from ("# Wire", "", "The services of `blackbox_am.v1`, over gRPC.", "")
    for path in sorted(PROTOS.glob("*_service.proto")):
        for note, service, body in _SERVICE.findall(path.read_text("utf-8")):
            yield from (f"## {service}", "", _comment(note), "")
            yield from ("| call | request | answer | meaning |", "|---|---|---|---|")
            for about, call, many, request, stream, answer in _CALL.findall(body):
                sent, got = ("stream " * bool(one) for one in (many, stream))
                meaning = _cell(_comment(about))
                yield f"| `{call}` | {sent}`{request}` | {got}`{answer}` | {meaning} |"
            yield ""
    yield from ("## Messages", "")
    for path in sorted(PROTOS.glob("*.proto")):
        yield from (f"### {path.name}", "", "```proto", path.read_text("utf-8").rstrip(), "```", "")


def errors() -> Iterator[str]:
    """Every class of errors with its gRPC code and its exit code."""
    from blackbox_am.cli.failures import exit_code
    from blackbox_am.rpc.status import CODES, RETRY_SECONDS

    yield from ("# Errors", "", "One tree of classes, here and over the wire. The `reason` of an")
    yield "error's `ErrorInfo` is the name of its class in capitals, such as `INVALID_INPUT`."
    yield ""
    yield from (
        "| class | meaning | gRPC code | exit code | retried after |",
        "|---|---|---|---|---|",
    )
    for one, code in CODES.items():
        meaning = _cell((inspect.getdoc(one) or "").splitlines()[0])
        wait = f"{RETRY_SECONDS[one]} s" if one in RETRY_SECONDS else ""
        exits = exit_code(one(""))
        named = f"`{one.__name__}` | {meaning} | `{code.name}`"
        yield f"| {named} | {exits} | {wait} |"
    import blackbox_am.errors

    tree = (inspect.getdoc(blackbox_am.errors) or "").partition("::\n")[2]
    yield from (
        "",
        "## The tree",
        "",
        "```text",
        textwrap.dedent(tree.partition("\n\nThe classes")[0]).strip("\n"),
        "```",
    )


_MADE = {
    "cli": command_line,
    "toml": configuration,
    "python": python,
    "wire": wire,
    "errors": errors,
}


def _signature(found: Any) -> str:
    try:
        return str(inspect.signature(found))
    except (TypeError, ValueError):
        return ""


def _paragraphs(text: str) -> str:
    return "\n\n".join(
        " ".join(part.split()) if not part.startswith("    ") else part
        for part in text.strip().split("\n\n")
    )


def _comment(lines: str) -> str:
    return " ".join(line.strip().removeprefix("//").strip() for line in lines.splitlines())


def _cell(text: str) -> str:
    return _escaped(text.replace("|", "\\|"))


def _escaped(text: str) -> str:
    """`text` with brackets outside of code that are no tags and no links."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("[", "\\[") for part in parts[::2]]
    return "`".join(parts)
