"""
A capture, decoded: every template, every record, every field.

    values   a record's fields: what a person reads, and the octets where that loses something
    derived  what flow tools want of them: addresses, ports, counters, absolute times
    entries  the decoder's columns as entries in file order, and their summary
    notes    sets without a template, faults, sequence jumps
    view     entries as tables

An entry is a dict as `clarion inspect --json` prints it. Python runs once a record here: this is a
tool to look with, not the collector's path.
"""

from clarion.inspect.entries import Inspector
from clarion.inspect.notes import Entry
from clarion.inspect.view import TableView

__all__ = ["Entry", "Inspector", "TableView"]
