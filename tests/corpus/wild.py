"""Templates in the wild, none of which renders with code of its own: fetched when the corpus runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PERSON = {"author_name": "Ann Lee", "author_email": "ann@example.org"}


@dataclass(frozen=True)
class Wild:
    """A public template, and the answers that it has no defaults for."""

    repository: str
    answers: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.repository.replace("/", "+")


TEMPLATES = (
    Wild(
        "superlinear-ai/substrate",
        {
            **_PERSON,
            "project_name": "My Proj",
            "project_description": "A thing",
            "project_url": "https://example.org/a/my-proj",
            "package_name": "my_proj",
        },
    ),
    Wild(
        "serious-scaffold/ss-python",
        {
            **_PERSON,
            "project_name": "My Proj",
            "project_description": "A thing",
            "project_keywords": "a, b",
            "platform": "github",
            "organization_name": "annlee",
            "repo_namespace": "annlee",
            "repo_platform": "github",
        },
    ),
    Wild(
        "OCA/oca-addons-repo-template",
        {
            "repo_slug": "server-x",
            "repo_name": "server x",
            "repo_description": "A thing",
            "odoo_version": 17.0,
            "ci": "GitHub",
        },
    ),
    Wild(
        "DiamondLightSource/python-copier-template",
        {
            **_PERSON,
            "package_name": "my_proj",
            "description": "A thing",
            "git_platform": "github.com",
            "github_org": "annlee",
            "repo_name": "my-proj",
            "distribution_name": "my-proj",
            "docker": True,
            "docker_debug": True,
            "pypi": True,
            "docs_type": "sphinx",
            "type_checker": "pyright",
            "component_owner": "user:ann",
            "component_lifecycle": "experimental",
        },
    ),
    Wild(
        "jlevy/simple-modern-uv",
        {
            "package_name": "my-proj",
            "package_description": "A thing",
            "package_author_name": "Ann Lee",
            "package_author_email": "ann@example.org",
            "package_github_org": "annlee",
        },
    ),
    Wild("albertomh/djereo", {**_PERSON, "project_name": "my-proj"}),
    Wild("albertomh/pycliche", {**_PERSON, "project_name": "my-proj"}),
    Wild(
        "lincc-frameworks/python-project-template",
        {**_PERSON, "project_name": "my_proj", "package_name": "my_proj", "project_organization": "annlee"},
    ),
)


def fetched(template: Wild, folder: Path) -> Path | None:
    """A bare copy of the template; None where it cannot be had. SCAFFOLD_CORPUS is a folder with some."""
    known = Path(os.environ.get("SCAFFOLD_CORPUS", folder)) / f"{template.name}.git"
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        address = f"https://github.com/{template.repository}.git"
        command = ("git", "clone", "--quiet", "--mirror", address, str(known))
        done = subprocess.run(
            command,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            return None
    return known


def tags(repository: Path, count: int) -> list[str]:
    """The newest released versions, the oldest first."""
    from packaging.version import InvalidVersion, Version

    said = subprocess.run(
        ("git", f"--git-dir={repository}", "tag"), capture_output=True, text=True, check=True
    ).stdout
    found = []
    for tag in said.split():
        try:
            version = Version(tag)
        except InvalidVersion:
            continue
        if not version.is_prerelease:
            found.append((version, tag))
    return [tag for _, tag in sorted(found)][-count:]
