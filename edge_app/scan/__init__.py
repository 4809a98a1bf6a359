"""Scanning folder trees into a SQLite file."""

from edge_app.scan.rows import Row
from edge_app.scan.scanner import run_scan
from edge_app.scan.store import Store, StoreBusyError, StoreError, read_rows
from edge_app.scan.summary import Summary
from edge_app.scan.walk import Selection

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
