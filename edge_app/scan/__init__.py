"""Scanning folder trees into a SQLite file."""

from edge_app.scan.scanner import Summary, run_scan
from edge_app.scan.store import Store, StoreError

__all__ = ["Store", "StoreError", "Summary", "run_scan"]
