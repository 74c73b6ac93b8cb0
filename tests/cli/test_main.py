import subprocess
import sys

import pytest

from clarion import __version__
from clarion.cli import COMMANDS


def clarion(*words):
    return subprocess.run(
        [sys.executable, "-m", "clarion", *words], capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip


def test_help_names_every_command():
    result = clarion("--help")

    assert result.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in result.stdout


def test_help_answers_at_once():
    """0.14 s where measured; what would slow it down is an import of what it does not need."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, clarion.cli; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip

    assert not {"numpy", "pyarrow", "httpx", "ctypes", "rich"} & set(loaded)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = clarion(command, "--help")

    assert result.returncode == 0
    assert "Example" in result.stdout
    assert "--json" in result.stdout


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys, clarion.cli\n"
        "print(sorted({'numpy', 'pyarrow', 'httpx', 'clarion.wire', 'clarion.collector'}"
        " & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"


def test_version():
    result = clarion("--version")

    assert (result.returncode, result.stdout) == (0, f"clarion {__version__}\n")


def test_unknown_command_is_a_usage_error():
    result = clarion("colect")

    assert result.returncode == 2
    assert "No such command" in result.stderr
