"""Commands about the servers and this program itself."""

from typing import Any

import click

from sfi_tool import output
from sfi_tool.invocation import Invocation, pass_invocation
from sfi_tool.options import refused
from sfi_tool.servers import Server

_SHOWN = ("interface", "urn", "hrn", "geni_api", "geni_api_versions", "title", "testbed", "code_tag")


@click.command()
@click.option("-l", "--local", is_flag=True, help="Of this program alone.")
@click.option("-R", "--registry-version", "of_registry", is_flag=True, help="Of the registry alone.")
@output.json_option
@pass_invocation
def version(invocation: Invocation, local: bool, of_registry: bool, as_json: bool) -> None:
    """What the registry and the aggregate say of themselves."""
    answers: dict[str, dict[str, Any]] = {}
    if local:
        answers["local"] = {"code_tag": _own_version(), "interface": "sfi"}
    else:
        session = invocation.session
        answers["registry"] = session.registry.call("GetVersion")
        if not of_registry:
            answers["aggregate"] = _value(session.aggregate, session.aggregate.call("GetVersion"))
    if as_json:
        output.print_json(answers)
        return
    rows = [(name, key, _line(answer[key])) for name, answer in answers.items() for key in _SHOWN if answer.get(key)]
    output.table(("server", "field", "value"), rows)


@click.command()
@output.json_option
@refused("-m", "--myslice", because="nothing is uploaded to MySlice from here; see `sfi delegate` and `sfi speaks-for`")
@pass_invocation
def config(invocation: Invocation, as_json: bool) -> None:
    """The settings that count, and which of the files they name are there."""
    folder = invocation.folder
    values = {
        "settings": str(folder.source or "the command line"),
        "user": folder.user,
        "auth": folder.authority,
        "registry": folder.registry,
        "aggregate": folder.aggregate,
    }
    files = {"key": folder.key, "gid": folder.gid, "roots": folder.roots}
    if as_json:
        there = {name: {"file": str(path), "is_there": path.is_file()} for name, path in files.items()}
        output.print_json({**values, **there, "credentials": [str(path) for path in folder.credential_files]})
        return
    rows = [
        *values.items(),
        *((name, str(path) if path.is_file() else f"{path} (not there yet)") for name, path in files.items()),
        ("credentials", "\n".join(path.name for path in folder.credential_files)),
    ]
    output.table(("setting", "value"), rows)


@click.command()
@click.option("-R", "--registry", "of_registry", is_flag=True, help="Of the registry, not the aggregate.")
@output.json_option
@pass_invocation
def introspect(invocation: Invocation, of_registry: bool, as_json: bool) -> None:
    """The methods that a server tells of (system.listMethods); not all servers do."""
    session = invocation.session
    server = session.registry if of_registry else session.aggregate
    methods = _value(server, server.call("system.listMethods"))
    if as_json:
        output.print_json(methods)
    else:
        click.echo("\n".join(map(str, methods)))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete sfi's commands and options. For bash: eval "$(sfi completion bash)"."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"nothing is known of {shell}")
    click.echo(made(context.find_root().command, {}, "sfi", "_SFI_COMPLETE").source())


COMMANDS: tuple[click.Command, ...] = (version, config, introspect, completion)


def _own_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("sfa-am")
    except metadata.PackageNotFoundError:
        return "not installed"


def _value(server: Server, answer: Any) -> Any:
    return server.value_of(answer) if isinstance(answer, dict) and "code" in answer else answer


def _line(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {one}" for key, one in value.items())
    return str(value)
