"""The `clarion` command: one module a subcommand, each imported only when it runs."""

import sys

import typer

from clarion.errors import ClarionError

app = typer.Typer(
    name="clarion",
    help="Collect NetFlow and IPFIX without silent loss, and measure how many collectors you need.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def main() -> None:
    """Run the command line; a ClarionError becomes one line on stderr and its exit code."""
    try:
        app()
    except ClarionError as err:
        print(f"clarion: {err}", file=sys.stderr)
        sys.exit(err.exit_code)
