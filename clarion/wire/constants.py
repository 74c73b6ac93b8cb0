"""Numbers fixed by the protocols: versions, header sizes, set ids, special lengths."""

from typing import Final

# Version field, the first two octets of every NetFlow and IPFIX datagram.
V1: Final = 1
V5: Final = 5
V7: Final = 7
V9: Final = 9
IPFIX: Final = 10
# sFlow's version field has four octets, 00 00 00 05, so that no port has to be set apart for it.
# Our number for it: 5 is NetFlow's, so sFlow version 5 is 105 wherever a version is a number
# (`Headers.version`, `Layout.version`, the column protocol_version).
SFLOW: Final = 105
SFLOW_VERSION: Final = 5

# Header octets. NetFlow v1, v5, v7: Cisco; RFC 3954 5.1; RFC 7011 3.1.
V1_HEADER: Final = 16
V1_RECORD: Final = 48
V5_HEADER: Final = 24
V5_RECORD: Final = 48
V7_HEADER: Final = 24
V7_RECORD: Final = 52
V9_HEADER: Final = 20
IPFIX_HEADER: Final = 16
SET_HEADER: Final = 4
# sFlow: before the agent's address of 0, 4 or 16 octets and behind it; a sample's type and length.
SFLOW_HEADER: Final = 24
SFLOW_SAMPLE_HEADER: Final = 8

# Set ids. RFC 3954 5.2 and 6.1; RFC 7011 3.3.2. Ids from 256 up name a template.
V9_TEMPLATE_SET: Final = 0
V9_OPTIONS_SET: Final = 1
IPFIX_TEMPLATE_SET: Final = 2
IPFIX_OPTIONS_SET: Final = 3
FIRST_DATA_SET: Final = 256

# A field of this length is of variable length. RFC 7011 7.
VARIABLE: Final = 65535
# Bit 15 of an IPFIX field's element number: an enterprise number follows. RFC 7011 3.2.
ENTERPRISE_BIT: Final = 0x8000

# Enterprise numbers with a meaning of their own.
PEN_IANA: Final = 0
PEN_CISCO: Final = 9
PEN_REVERSE: Final = 29305  # RFC 5103 6.1
# Not an enterprise number: marks the scope types of v9 options templates (RFC 3954 6.1), which
# are numbers of a space of their own (1 system, 2 interface, 3 line card, 4 cache, 5 template).
PEN_V9_SCOPE: Final = -1

MAX_DATAGRAM: Final = 65535
# Sets looked for in one datagram: a real exporter has at most a set a record, about 1,000 in the
# largest datagram.
MAX_SETS: Final = 1024
