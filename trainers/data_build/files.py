"""Files that are there whole or not at all.

* `write_text`, `write_table` - through a draft beside the file.
* `sha256` - of a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def write_text(path: Path, text: str) -> None:
    """Write UTF-8."""
    _replace(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write parquet."""
    import pyarrow.parquet

    _replace(path, lambda draft: pyarrow.parquet.write_table(table, draft))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    write(draft)
    draft.replace(path)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
