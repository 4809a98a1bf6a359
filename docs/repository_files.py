"""MkDocs hook: pages may link to files of the repository, as they do where it is read on GitHub.

``[model card](../models/README.md)`` is a link out of ``docs/``. Every file that is linked so, from
these pages or from a page that they link to, becomes part of the site, at its path in the
repository, and the links are adapted.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Adds the files that pages link to outside of ``docs/``."""
    repository, docs = _folders(config)
    pages = [docs / file.src_uri for file in files if file.src_uri.endswith(".md")]
    pages += [repository / target for target in _nav(config["nav"]) if "/" in target]
    pages += [repository / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")]
    seen = set(pages)
    for page in pages:  # grows while it is read
        if docs not in page.parents:
            _add(files, config, page, repository)
        for match in _LINK.finditer(page.read_text(encoding="utf-8")):
            target = (page.parent / match[2]).resolve()
            if docs in target.parents or repository not in target.parents or target in seen:
                continue
            seen.add(target)
            if target.suffix == ".md":
                pages.append(target)
            elif target.is_file():
                _add(files, config, target, repository)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files, **_: Any) -> str:
    """Points links at where the files are in the site; what is not in it becomes plain text."""
    repository, docs = _folders(config)
    source = Path(page.file.abs_src_path)
    here = posixpath.dirname(page.file.src_uri)

    def adapted(match: re.Match[str]) -> str:
        target = (source.parent / match[2]).resolve()
        base = docs if docs in target.parents else repository
        if base not in target.parents or not target.is_file():
            return match[0]  # MkDocs reports it
        uri = target.relative_to(base).as_posix()
        return f"]({posixpath.relpath(uri, here or '.')}{match[3] or ''})"

    return _LINK.sub(adapted, markdown)


def _folders(config: Any) -> tuple[Path, Path]:
    docs = Path(config["docs_dir"]).resolve()
    return docs.parent, docs


def _nav(items: Any) -> list[str]:
    if isinstance(items, str):
        return [items]
    values = items.values() if isinstance(items, dict) else items
    return [target for value in values for target in _nav(value)]


def _add(files: Files, config: Any, path: Path, repository: Path) -> None:
    uri = path.relative_to(repository).as_posix()
    if files.get_file_from_path(uri) is None:
        files.append(File.generated(config, uri, abs_src_path=str(path)))
