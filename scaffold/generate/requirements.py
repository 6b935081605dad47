"""Check that this program is new enough for a template, before anything else of it is read.

`_min_copier_version` is copier's own setting; `_min_scaffold_version` is passed over by copier.
"""

from __future__ import annotations

from collections.abc import Mapping

from scaffold import __version__
from scaffold.errors import ScaffoldError
from scaffold.generate import installation


def check(name: str, settings: Mapping[str, object]) -> None:
    """Raise an error, with the command that helps, for a template that needs a newer program."""
    if (wanted := settings.get("min_scaffold_version")) is not None:
        _check(name, "scaffold", __version__, str(wanted), ())
    if (wanted := settings.get("min_copier_version")) is not None:
        from importlib.metadata import version

        _check(name, "copier", version("copier"), str(wanted), ("copier",))


def _check(name: str, program: str, there: str, wanted: str, libraries: tuple[str, ...]) -> None:
    from packaging.version import InvalidVersion, Version

    try:
        needed = Version(wanted)
    except InvalidVersion as error:
        raise ScaffoldError(
            f'Template "{name}": _min_{program}_version in copier.yml is no version: {wanted}',
            'Write it as text, such as "1.2.0".',
        ) from error
    # A state between two releases has what the next one will have.
    if Version(Version(there).base_version) < needed:
        raise ScaffoldError(
            f'Template "{name}" needs {program} {wanted} or newer; this is {program} {there}.',
            f"Upgrade it: `{installation.upgrading(*libraries)}`. Or use an older version of the template.",
        )
