import subprocess
import sys
from pathlib import Path

import pytest

from clarion.errors import UsageError
from clarion.wire.elements import _BY_NUMBER, DataType, Element, element, find

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("number", "pen", "name", "kind"),
    [
        (1, 0, "octetDeltaCount", DataType.UNSIGNED64),
        (8, 0, "sourceIPv4Address", DataType.IPV4_ADDRESS),
        (89, 0, "forwardingStatus", DataType.UNSIGNED32),
        (152, 0, "flowStartMilliseconds", DataType.DATE_TIME_MILLISECONDS),
        (156, 0, "flowStartNanoseconds", DataType.DATE_TIME_NANOSECONDS),
        (276, 0, "dataRecordsReliability", DataType.BOOLEAN),
        (293, 0, "subTemplateMultiList", DataType.SUB_TEMPLATE_MULTI_LIST),
        (311, 0, "samplingProbability", DataType.FLOAT64),
        (434, 0, "mibObjectValueInteger", DataType.SIGNED32),
        (34000, 0, "sgt_source_tag", DataType.UNSIGNED16),
        (1232, 9, "sourceSecurityGroupTag", DataType.UNSIGNED16),
        (1, 29305, "reverseOctetDeltaCount", DataType.UNSIGNED64),
        (236, 29305, "reverseVRFname", DataType.STRING),
    ],
)
def test_known_elements(number, pen, name, kind):
    assert element(number, pen) == Element(pen, number, name, kind)


@pytest.mark.parametrize(("number", "pen"), [(0, 0), (65, 0), (8, 424242), (0, 29305), (1, -1)])
def test_unknown_elements(number, pen):
    assert element(number, pen) is None


@pytest.mark.parametrize(
    ("text", "pen", "number"),
    [
        ("sourceIPv4Address", 0, 8),
        ("sourceipv4address", 0, 8),
        (" 8 ", 0, 8),
        ("0.8", 0, 8),
        ("9.1232", 9, 1232),
        ("reverseOctetDeltaCount", 29305, 1),
        ("29305.2", 29305, 2),
        ("httpContentType", 0, 469),
    ],
)
def test_find(text, pen, number):
    assert find(text)[:2] == (pen, number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sourceIPv4Adress", "'sourceIPv4Address'"),
        ("octetDelta", "'octetDeltaCount'"),
        ("9.60000", "unknown number"),
        ("60000", "unknown number"),
        ("", "unknown name"),
        (".", "unknown name"),
        ("9.x", "unknown name"),
        ("?!", "unknown name"),
    ],
)
def test_find_says_what_is_near(text, said):
    with pytest.raises(UsageError, match="element") as caught:
        find(text)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_name_is_found_again():
    for known in _BY_NUMBER.values():
        found = find(known.name)
        assert found.name.lower() == known.name.lower()
        assert found.pen <= known.pen


def test_generated_module_is_what_the_tables_say():
    script = ROOT / "scripts" / "make_elements.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
