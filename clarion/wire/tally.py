"""Counters of the codec: every datagram, set, record and octet in exactly one bucket."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Tally:
    """
    What became of the octets of a batch, or of many: `a + b` adds.

    Identities, asserted by tests:
        datagrams == the sum of datagrams_* + malformed + refused
        sets == template_sets + data_sets + sets_no_template + sets_reserved + sets_zero_length
        octets == the sum of the octets_* counters
        sets_no_template == sets kept waiting or dropped at once; of those kept, each is later
        recovered, expired or still waiting
    """

    datagrams: int = 0
    datagrams_v1: int = 0
    datagrams_v5: int = 0
    datagrams_v7: int = 0
    datagrams_v9: int = 0
    datagrams_ipfix: int = 0
    datagrams_sflow: int = 0
    malformed: int = 0  # datagrams without a usable header
    refused: int = 0  # datagrams of a session past the cap

    sets: int = 0  # an sFlow sample counts as a set
    template_sets: int = 0  # with templates or options templates
    data_sets: int = 0  # the records of a v1, v5 or v7 datagram count as one set
    counter_samples: int = 0  # of data_sets: sFlow samples of an interface's counters
    sets_no_template: int = 0  # template unknown when the set came
    sets_reserved: int = 0
    sets_zero_length: int = 0
    sets_rejected: int = 0  # ended their datagram: bad length, or past its end (not in `sets`)

    sets_kept: int = 0  # of sets_no_template: put in the waiting room
    sets_recovered: int = 0  # left the waiting room because the template came
    sets_expired: int = 0  # left it because their time was over

    records: int = 0  # flow records, late ones too
    options_records: int = 0
    late_records: int = 0  # flow and options records decoded out of the waiting room

    octets: int = 0
    octets_header: int = 0
    octets_set_header: int = 0  # sFlow: type and length of each sample
    octets_template: int = 0
    octets_record: int = 0  # flow and options records, at their arrival; sFlow: parts we know
    octets_padding: int = 0
    octets_no_template: int = 0
    octets_reserved: int = 0  # sFlow: unknown samples, and unknown parts of known ones
    octets_zero_length: int = 0
    octets_trailing: int = 0  # behind the last set or behind the IPFIX length
    octets_malformed: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def __iadd__(self, other: "Tally") -> "Tally":
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    @property
    def sets_waiting(self) -> int:
        """Sets still in the waiting room, when this tally covers the decoder's whole life."""
        return self.sets_kept - self.sets_recovered - self.sets_expired

    @property
    def sets_lost(self) -> int:
        """Sets given up for want of a template."""
        return self.sets_no_template - self.sets_kept + self.sets_expired


_NAMES = tuple(f.name for f in fields(Tally))
