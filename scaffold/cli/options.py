"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[
    Path,
    typer.Option(
        "-C",
        "--project",
        metavar="DIR",
        help="The project's folder, instead of this one or the nearest above.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Explain = Annotated[
    bool, typer.Option("--explain", help="Print the docker commands that this stands for, and do nothing.")
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME", help="Activate a profile of compose.yaml. Repeatable."),
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long each service may take to be ready."),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Give up at once when another scaffold works on this project.")
]
AllowSecret = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-secret",
        metavar="NAME",
        help="Let this secret into an image: a variable's or a secret's name, or .env. Repeatable.",
    ),
]
ShowSecrets = Annotated[
    bool, typer.Option("--show-secrets", help="Show secrets too. For your own terminal, not for a log.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors and doubts about data.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show all build output.")]

HERE = Path()
