"""Scanning folder trees into a SQLite file."""

from edge_app.scan.scanner import Summary, run_scan
from edge_app.scan.store import Row, Store, StoreError, read_rows

__all__ = ["Row", "Store", "StoreError", "Summary", "read_rows", "run_scan"]
