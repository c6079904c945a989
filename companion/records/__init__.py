"""Runs that take minutes: done once, stored with their command, loaded by a lesson.

A lesson that needs one executes the same function with its short settings, live,
and shows the stored result of the full settings beside it.
"""

from companion.records.runs import RUNS, Run
from companion.records.store import Record, load, record

__all__ = ["RUNS", "Record", "Run", "load", "record"]
