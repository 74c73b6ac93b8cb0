"""`clarion inspect --json` against the expected values of every real capture."""

import json

import pytest
from typer.testing import CliRunner

from tests import captures

COUNTS = (
    "packet_count",
    "template_count",
    "options_template_count",
    "record_count",
    "options_record_count",
)


@pytest.fixture(scope="module")
def inspected():
    """Entries of a capture by kind, each capture inspected once."""
    import typer

    from clarion.cli.inspect import inspect

    app = typer.Typer()
    app.command()(inspect)
    done = {}

    def run(case):
        if case not in done:
            result = CliRunner().invoke(app, [str(captures.FOLDER / f"{case}.pcap"), "--json"])
            assert result.exit_code == 0, result.output
            kinds = {"template": [], "record": [], "options_record": [], "summary": []}
            for line in result.stdout.splitlines():
                entry = json.loads(line)
                kinds[entry.pop("kind")].append(entry)
            done[case] = kinds
        return done[case]

    return run


def test_captures_are_there():
    captures.require()


@pytest.mark.parametrize("case", captures.CASES)
def test_counts(inspected, case):
    want = captures.expected(case)

    (summary,) = inspected(case)["summary"]

    assert {k: summary[k] for k in COUNTS} == {k: want[k] for k in COUNTS}
    assert summary["undecodable_sets"] == want.get("undecodable_sets", [])
    told = {problem["packet"] for problem in summary["problems"]}
    # A v5 datagram that goes on behind its records is no problem to the walker, only a note.
    long_v5 = {p["packet"] for p in want["packets"] if p.get("trailing_bytes")}
    if case == "all_exporters":
        long_v5 = {p["packet"] for p in want["packets"] if p["exporter"] == "192.0.2.2"}
    assert told - long_v5 == {problem["packet"] for problem in want.get("problems", [])}


@pytest.mark.parametrize("case", captures.CASES)
def test_sequence_jumps(inspected, case):
    want = captures.expected(case)
    # The walker does not compare the sequence of a message with sets it cannot read.
    unread = {s["packet"] for s in want.get("undecodable_sets", [])}

    (summary,) = inspected(case)["summary"]

    jumps = [jump for jump in summary["sequence_jumps"] if jump["packet"] not in unread]
    assert jumps == want.get("sequence_jumps", [])


@pytest.mark.parametrize("case", captures.CASES)
def test_templates(inspected, case):
    want = captures.expected(case)
    if not want["templates"]:  # all_exporters lists none; its count is tested
        return

    found = inspected(case)["template"]

    assert len(found) == len(want["templates"])
    for got, wanted in zip(found, want["templates"], strict=True):
        assert {key: got.get(key) for key in wanted} == wanted
        assert ("scope_count" in got, "repeats" in got) == (
            "scope_count" in wanted,
            "repeats" in wanted,
        )


@pytest.mark.parametrize("case", captures.CASES)
@pytest.mark.parametrize("kind", ["record", "options_record"])
def test_records(inspected, case, kind):
    want = captures.expected(case)[f"{kind}s"]

    found = [entry for entry in inspected(case)[kind] if not entry.get("late")]

    assert len(found) == len(want)
    for got, wanted in zip(found, want, strict=True):
        assert {key: got.get(key) for key in wanted} == wanted
        assert got.get("raw", {}) == wanted.get("raw", {})
        assert list(got["fields"]) == list(wanted["fields"])
