"""Find templates: the bundled ones by name, any other by the path of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from scaffold import __version__
from scaffold.errors import UsageError

DEFAULT = "backend"
_CONFIGURATIONS = ("copier.yml", "copier.yaml")


@dataclass(frozen=True)
class Template:
    """A copier template on disk.

    `source` and `version` are what the project's answers file remembers. For a bundled template that is a
    name and a version, never a path of this machine: copier takes `git+scaffold:backend` for a git URL, and
    git can be told (`url.<bundle>.insteadOf`) to read it from a file that the wheel ships.
    """

    name: str
    path: Path
    source: str
    version: str | None = None


def bundled() -> tuple[Template, ...]:
    """The templates that came with this program, sorted by name."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "templates"
    # A checkout keeps the templates beside the package, where they are edited; a wheel carries them inside.
    root = installed if installed.is_dir() else package.parent / "templates"
    if not root.is_dir():
        return ()
    return tuple(
        Template(folder.name, folder, f"git+scaffold:{folder.name}", f"v{__version__}")
        for folder in sorted(root.iterdir())
        if _is_template(folder)
    )


def find(reference: str) -> Template:
    """The template that `--template` means: a bundled name first, then a folder, read as it stands."""
    known = {template.name: template for template in bundled()}
    if reference in known:
        return known[reference]
    path = Path(reference).expanduser()
    try:
        is_folder = bool(reference) and path.is_dir()
    except (OSError, ValueError):  # a name too long for the file system, a null byte
        is_folder = False
    if not is_folder:
        raise UsageError(f'There is no template "{reference}".', _suggestion(reference, tuple(known)))
    if not _is_template(path):
        raise UsageError(
            f'"{reference}" is not a template: it has no copier.yml.',
            "Give the folder that holds the copier.yml, or one of: " + ", ".join(known),
        )
    path = path.resolve()
    return Template(path.name, path, str(path))


def _is_template(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _CONFIGURATIONS)


def _suggestion(reference: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(reference, known, n=1)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Bundled templates: {', '.join(known)}. Anything else is the path of a template's folder."
