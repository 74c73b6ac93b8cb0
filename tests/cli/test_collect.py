import subprocess
import sys

from clarion.cli.collect import collect
from clarion.collector.config import CollectorConfig, flag_name


def test_every_setting_has_a_flag():
    parameters = set(collect.__annotations__) - {"return", "config", "json"}

    assert parameters == set(CollectorConfig.__dataclass_fields__)


def test_help_shows_the_flags_of_the_contract():
    result = subprocess.run(
        [sys.executable, "-m", "clarion", "collect", "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PATH": ""},
    )  # fmt: skip

    for name in CollectorConfig.__dataclass_fields__:
        assert f"--{flag_name(name)}" in result.stdout
    assert "--json" in result.stdout
