"""The files that other tools read: workflow, issue templates, changelog."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

GITHUB = ROOT / ".github"


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_github_accepts_the_file(schema, files):
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    found = sorted(GITHUB.glob(files))
    assert found
    result = subprocess.run([*command, *found], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


def test_the_workflow_runs_what_ci_runs_on_every_supported_python():
    workflow = (GITHUB / "workflows" / "ci.yml").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "- run: .ci/run\n" in workflow
    lowest, highest = re.search(
        r"!\[Python 3\.(\d+) to 3\.(\d+)\]", (ROOT / "README.md").read_text()
    ).groups()
    versions = re.findall(r'"3\.(\d+)"', re.search(r"python: \[(.*)\]", workflow).group(1))
    assert versions == [str(minor) for minor in range(int(lowest), int(highest) + 1)]


def test_the_changelog_names_the_version_of_the_model(classifier):
    text = (ROOT / "CHANGELOG.md").read_text()
    version = re.escape(classifier.info.metadata.version)
    assert re.search(rf"^### {version} - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def test_the_changelog_keeps_its_format():
    text = (ROOT / "CHANGELOG.md").read_text()
    for title in re.findall(r"^## (.*)", text, re.MULTILINE):
        assert re.fullmatch(r"Unreleased|Model|\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", title)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    package = text.partition("\n## Model")[0]
    assert set(re.findall(r"^### (.*)", package, re.MULTILINE)) <= kinds
