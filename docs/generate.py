"""Print the generated pages of docs/reference from the code that they describe.

``python docs/generate.py`` writes them; ``--check`` says which are not as they would be written (the tests do that).
"""

import sys
from collections.abc import Callable
from pathlib import Path

import click
from pydantic.fields import FieldInfo

from backends.native.settings import BackendSettings
from sfa_am import cli, errors
from sfa_am.config import SECTIONS, Config
from sfa_am.slices.states import ACTIONS, LEADS_TO, TABLE, Action, Allocation, Operational
from sfa_am.wire.chapi.answers import Code
from sfa_am.wire.chapi.fields import (
    OF_MEMBER_AUTHORITY,
    OF_SERVICE_REGISTRY,
    OF_SLICE_AUTHORITY,
    Create,
    Fields,
    Protect,
)
from sfi_tool import cli as sfi

REFERENCE = Path(__file__).parent / "reference"
TEMPLATES = Path(__file__).parent / "templates"
NOTICE = "<!-- Written by docs/generate.py (make docs); change the code it speaks of instead. -->\n"


def settings_page() -> str:
    """Every key of the settings file."""
    parts = [
        NOTICE,
        "# Settings\n",
        "One file, `sfa-am.toml` in the state folder; `sfa-am init` writes it with these explanations in it. A key "
        "that is not known is refused, with the nearest one that is. An environment variable overrides the file: "
        "`SFA_AM_SERVER__AM_PORT=8443` sets `am_port` of `[server]`.\n",
    ]
    for section in SECTIONS:
        name = section.__name__.lower()
        default = getattr(Config(), name)
        title = f"[[{name}]]" if isinstance(default, tuple) else f"[{name}]"
        if isinstance(default, tuple):
            default = default[0] if default else None
        parts.append(f"\n## `{title}`\n\n{section.__doc__}\n\n| key | default | meaning |\n|---|---|---|")
        for key, field in section.model_fields.items():
            value = f"`{_value(getattr(default, key))}`" if default else _unset(field)
            parts.append(f"| `{key}` | {value} | {_line(field.description)} |")
    parts.append("\n\n## `settings` of the plugin `native`\n\n| key | default | meaning |\n|---|---|---|")
    native = BackendSettings()
    for key, field in BackendSettings.model_fields.items():
        value = getattr(native, key)
        if key == "sliver_types":
            shown = ", ".join(kind.name for kind in value)
        elif key == "parallel":
            shown = "twice the cores, at least 4"
        else:
            shown = f"`{_value(value)}`"
        parts.append(f"| `{key}` | {shown} | {_line(field.description)} |")
    return "\n".join(parts) + "\n"


def _unset(field: FieldInfo) -> str:
    """The default of a key of a section that is not there by itself."""
    if field.is_required():
        return "needed"
    return "no limit" if field.default is None else f"`{_value(field.default)}`"


def states_page() -> str:
    """The two state machines, as diagrams."""
    lines = [
        NOTICE,
        "# States of a sliver\n",
        "Printed from the tables in `sfa_am/slices/states.py`.\n",
        "## Allocation\n",
        "Stored, and moved only along this table. Other calls are refused with code 13, naming those possible.\n",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Allocation.UNALLOCATED}",
    ]
    lines += [f"    {before} --> {after}: {call}" for (before, call), after in TABLE.items()]
    lines += [
        "```\n",
        "## Operation\n",
        "Never stored: derived from what is wanted and what was seen. Actions lead to the state shown; from the states "
        "in which something is under way a sliver goes on by itself.\n",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Operational.PENDING_ALLOCATION}: Allocate",
        f"    {Operational.PENDING_ALLOCATION} --> {Operational.CONFIGURING}: Provision",
    ]
    goes_on = {
        Operational.CONFIGURING: (Operational.READY, Operational.FAILED),
        Operational.READY_BUSY: (Operational.READY, Operational.FAILED),
        Operational.STOPPING: (Operational.NOTREADY, Operational.FAILED),
    }
    lines += [f"    {state} --> {then}" for state, following in goes_on.items() for then in following]
    shown = (Action.STOP, Action.START, Action.RESTART, Action.RELOAD)
    natural = {
        Action.STOP: Operational.READY,
        Action.START: Operational.NOTREADY,
        Action.RESTART: Operational.READY,
        Action.RELOAD: Operational.READY,
    }
    lines += [f"    {natural[action]} --> {LEADS_TO[action]}: {action}" for action in shown]
    lines += [f"    {Operational.FAILED} --> {LEADS_TO[Action.RESTART]}: {Action.RESTART}", "```\n"]
    lines += ["| action | may be asked for in | leads to |", "|---|---|---|"]
    for action in Action:
        allowed = ", ".join(f"`{state}`" for state in Operational if state in ACTIONS[action])
        lines.append(f"| `{action}` | {allowed} | `{LEADS_TO[action]}` |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """The codes that a reply may carry."""
    lines = [
        NOTICE,
        "# Error codes\n",
        "What `code.geni_code` of a reply means here. `output` says what, where and what would work, and ends with the "
        "number of the request, under which the server's log has the rest. `value` holds what would have been granted, "
        "where that is known.\n",
        "| code | name | when |",
        "|---|---|---|",
    ]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AMError)]
    for kind in sorted(kinds, key=lambda kind: kind.geni_code):
        if kind is not errors.AMError:
            lines.append(f"| {kind.geni_code} | {kind.__name__} | {_line(kind.__doc__)} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """All commands with their help."""
    lines = [NOTICE, "# Commands\n"]
    for name, command in (("sfa-am", cli.main), ("sfi", sfi.main)):
        lines += [f"## `{name}`\n", *_help(name, command, None)]
    return "\n".join(lines)


def _help(name: str, command: click.Command, parent: click.Context | None) -> list[str]:
    context = click.Context(
        command, info_name=name.split()[-1], parent=parent, terminal_width=100, max_content_width=100
    )
    lines = [f"### `{name}`\n" if parent else "", "```text", command.get_help(context), "```\n"]
    if isinstance(command, click.Group):
        for part in sorted(command.commands):
            lines += _help(f"{name} {part}", command.commands[part], context)
    return lines


def conformance_page() -> str:
    """What each call of the AM API must answer."""
    sys.path.insert(0, str(REFERENCE.parent.parent / "tests"))
    from unit.am import conformance

    return conformance.page()


def clearinghouse_page() -> str:
    """Methods, by hand, and codes and fields of the federation API."""
    codes = ["| code | name |", "|---|---|", *(f"| {code.value} | {code.name} |" for code in Code)]
    tables = [_fields(one) for one in (*OF_SERVICE_REGISTRY, *OF_MEMBER_AUTHORITY, *OF_SLICE_AUTHORITY)]
    page = (TEMPLATES / "clearinghouse.md").read_text()
    return NOTICE + "\n" + page.replace("{codes}", "\n".join(codes)).replace("{fields}", "\n".join(tables))


def _fields(fields: Fields) -> str:
    lines = [
        f"\n### {fields.kind}\n",
        "| field | type | meaning | make | change | match | told |",
        "|---|---|---|---|---|---|---|",
    ]
    make = {Create.REQUIRED: "needed", Create.ALLOWED: "yes", Create.NOT: ""}
    for one in fields.fields:
        update, match = ("yes" if is_so else "" for is_so in (one.update, one.match))
        told = "" if one.protect is Protect.PUBLIC else one.protect
        lines.append(
            f"| `{one.name}` | {one.type} | {one.meaning} | {make[one.create]} | {update} | {match} | {told} |"
        )
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "states.md": states_page,
    "errors.md": errors_page,
    "commands.md": commands_page,
    "conformance.md": conformance_page,
    "clearinghouse.md": clearinghouse_page,
}


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    stale = [name for name, page in PAGES.items() if _read(REFERENCE / name) != page()]
    if arguments == ["--check"]:
        for name in stale:
            print(f"docs/reference/{name} is not as docs/generate.py writes it", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(PAGES[name]())
        print(f"wrote docs/reference/{name}")
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _value(value: object) -> str:
    if isinstance(value, str) or value is None:
        return f'"{value or ""}"'
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
