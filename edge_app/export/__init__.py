"""What a scan found, for people and other programs: tables, copies of the files, a report."""

from edge_app.export.copies import CopyError, CopySummary, copy_pictures
from edge_app.export.places import Places
from edge_app.export.report import ReportSummary, write_report
from edge_app.export.results import UnknownLabelError, highest, read_results, selected
from edge_app.export.tables import write_csv, write_jsonl

__all__ = [
    "CopyError",
    "CopySummary",
    "Places",
    "ReportSummary",
    "UnknownLabelError",
    "copy_pictures",
    "highest",
    "read_results",
    "selected",
    "write_csv",
    "write_jsonl",
    "write_report",
]
