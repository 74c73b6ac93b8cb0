"""The documents say what is there: commands, columns, loss buckets."""

import re
from pathlib import Path

import pytest

from clarion.cli import COMMANDS
from clarion.collector.ledger import BUCKETS
from clarion.flows.schema import FLOW_SCHEMA
from tests.processes import clarion

ROOT = Path(__file__).parents[1]


def rows(document: str) -> dict[str, list[str]]:
    """Return the rows of a document's tables by each name in backticks in their first cell."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / document).read_text().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            for name in re.findall(r"`(\w+)`", cells[0]):
                found[name] = cells
    return found


def test_every_flow_column_is_documented_and_no_other():
    assert list(rows("docs/columns.md")) == FLOW_SCHEMA.names


def test_every_loss_bucket_is_documented_with_its_unit():
    said = {name: cells[1] for name, cells in rows("docs/ledger.md").items()}

    assert said == {name: bucket.unit for name, bucket in BUCKETS.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_is_in_the_readme(command):
    done = clarion(command, "--help")

    assert done.returncode == 0
    assert f"clarion {command}" in done.stdout
    assert "xample" in done.stdout
    assert f"clarion {command}" in (ROOT / "README.md").read_text()


def test_the_readme_has_the_two_commands_and_they_exist():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^sh (scripts/\w+)$", text, re.MULTILINE)

    assert commands == ["scripts/quickstart", "scripts/test"]
    assert all((ROOT / command).is_file() for command in commands)


def test_links_in_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
