"""Write the files that nobody but their owner may read: .env, and what this program remembers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from scaffold import files
from scaffold.errors import ScaffoldError


def write(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: it is there whole, or not at all."""
    try:
        # A killed one leaves its draft: what keeps .env out of git and builds keeps out `.env.…` too.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.scaffold-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ScaffoldError(
            f"{path} cannot be written: {files.why(error)}.", "Nothing was changed."
        ) from error
