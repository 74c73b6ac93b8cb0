"""
The `clarion` command: one module a subcommand.

Those modules import only typer at their top, and what they run inside the function: `--help` of
anything answers at once.
"""

import sys
from importlib import import_module
from typing import Annotated, Final

import typer

from clarion.errors import ClarionError

# In the order of --help; each is a function of that name in a module of that name.
COMMANDS: Final = ("collect", "loadgen", "inspect", "verify", "measure", "plan")

app = typer.Typer(
    name="clarion",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from clarion import __version__

        print(f"clarion {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """
    Collect NetFlow and IPFIX without silent loss, and measure how many collectors you need.

    Example: `clarion collect` here, `clarion loadgen --fps 3000` in another terminal.
    """


for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f"clarion.cli.{_name}"), _name))


def main() -> None:
    """
    Run the command line; a ClarionError becomes one line on stderr and its exit code.

    An interrupt that a command does not handle itself ends with "Aborted" and exit code 1.
    """
    try:
        app()
    except ClarionError as err:
        print(f"clarion: {err}", file=sys.stderr)
        sys.exit(err.exit_code)
