"""The tree of commands. Each module below adds its own."""

from typing import Annotated

import typer

from stepdown import __version__

EXIT_CODES = (
    "Exit codes: 0 done; 1 the answer is no; 2 a value is wrong; 3 not found; 4 refused as things stand; 5 dataset; "
    "6 training; 7 workspace, disk or database; 8 provider; 70 a fault of stepdown, please report it; 74 the output could "
    "not be written; 130 stopped by you. With --json a failure is an object on stdout: "
    "{'error': {'kind', 'message', 'exit_code'}}."
)

app = typer.Typer(
    name="stepdown",
    help="Hand a role down from a frontier model to a small local one, and prove who really served.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the stack trace of a failure; nothing else does.")
    ] = False,
) -> None:
    """Hand a role down from a frontier model to a small local one, and prove who really served."""


from stepdown.cli import bases, bundles, life, live, proof, rules, work  # noqa: E402 - each registers its commands on `app`

app.add_typer(bundles.app, name="bundles")
app.add_typer(bases.app, name="base")
app.add_typer(rules.policy, name="policy")
app.add_typer(rules.harness, name="harness")
work.register(app)
live.register(app)
rules.register(app)
life.register(app, bundles.app)
proof.register(app)
