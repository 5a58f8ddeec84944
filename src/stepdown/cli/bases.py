"""Commands on bases."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT
from stepdown.cli.options import Directory, Json, workspace
from stepdown.cli.output import emit, note, table

if TYPE_CHECKING:
    from stepdown.workspace import Workspace

app = typer.Typer(help="Pretrained models that local ones can be tuned from.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="What it is called here; by default after its source.")]


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A GGUF file, or smollm2 for the one of the extra of that name.")],
    directory: Directory = DEFAULT,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Turn a GGUF file into a base: a directory that mlx-lm opens."""
    from stepdown.acts.adopt import packaged

    with workspace(directory) as opened:
        given = Path(source)
        if os.path.lexists(given) or given.suffix == ".gguf":
            _bring(opened, given, name, as_json=as_json)
        else:
            _bring(opened, packaged(source), name or source, as_json=as_json)


@app.command()
def add(
    source: Annotated[Path, typer.Argument(help="A directory that mlx-lm opens; it is copied.")],
    directory: Directory = DEFAULT,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Copy a model's directory into the workspace as a base."""
    with workspace(directory) as opened:
        _bring(opened, source, name, as_json=as_json)


@app.command("list")
def list_(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """List every base."""
    from stepdown.bases.disk import shelf

    with workspace(directory) as opened:
        bases, damaged = shelf(opened.root)
    for name in damaged:
        note(f"stepdown: The record of {name} cannot be read; remove the base and bring it again.")
    head = ("base", "digest", "architecture", "parameters", "bits", "context", "from")
    body = [
        (base.name, base.digest[:12], base.architecture, f"{base.parameters:,}", base.bits, base.context, base.source)
        for base in bases
    ]
    emit([base.as_json() for base in bases], as_json=as_json, people=lambda: table("bases", head, body))


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The base's name.")], directory: Directory = DEFAULT, as_json: Json = False
) -> None:
    """Check every byte of a base. Exit 1 when it is not what its record says."""
    from stepdown.bases.disk import find, problem

    with workspace(directory) as opened:
        base, folder = find(opened.root, name)
        wrong = problem(folder, base.digest)
    line = f"{base.name}  {base.digest[:12]}  {wrong or 'whole'}"
    emit({**base.as_json(), "problem": wrong}, as_json=as_json, people=lambda: line)
    if wrong:
        raise typer.Exit(1)


def _bring(opened: "Workspace", source: Path, name: str | None, *, as_json: bool) -> None:
    from stepdown.acts.adopt import adopt

    base, is_here = adopt(opened, source, name)
    how = "is here already" if is_here else f"{base.parameters:,} parameters, {base.architecture}"
    emit(base.as_json(), as_json=as_json, people=lambda: f"{base.name}  {base.digest[:12]}  {how}")
