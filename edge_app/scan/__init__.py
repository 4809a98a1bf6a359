"""Scanning folder trees into a SQLite file."""

from edge_app.scan.errors import StoreBusyError, StoreError
from edge_app.scan.rows import Row
from edge_app.scan.scanner import run_scan
from edge_app.scan.selection import Selection
from edge_app.scan.store import Store, read_rows
from edge_app.scan.summary import Summary

__all__ = [
    "Row",
    "Selection",
    "Store",
    "StoreBusyError",
    "StoreError",
    "Summary",
    "read_rows",
    "run_scan",
]
