"""Acts that cannot be undone: what would happen is shown, and a person agrees first."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from stepdown.cli.output import emit

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


def agreed(would: Sequence[str], *, yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Show what an act would do and ask; False for a dry run.

    Raises:
        Refused: Nobody can be asked, or whoever was asked said no (kind `not-confirmed`); nothing is done then.
    """
    from stepdown.errors import Refused

    if dry_run:
        emit({"would": list(would)}, as_json=as_json, people=lambda: "\n".join(f"would {line}" for line in would))
        return False
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        raise Refused(
            f"This cannot be undone, and nobody is there to be asked: it would {'; '.join(would)}. Say --yes to do it, or "
            "--dry-run to see it.",
            kind="not-confirmed",
        )
    for line in would:
        typer.echo(f"This will {line}.", err=True)
    if not typer.confirm("It cannot be undone. Go on?", err=True):
        raise Refused("Nothing was done: you did not agree.", kind="not-confirmed")
    return True
