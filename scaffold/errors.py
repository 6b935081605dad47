"""What can go wrong, as one tree; every error says what happened, to what, and what to try next.

ScaffoldError                 exit 1
├── UsageError                exit 2    the command or its input is wrong
├── ProjectError              exit 2    the project's own files are wrong (compose.yaml, .env)
├── EngineError               exit 1    the Docker engine refused or is not there
│   ├── EngineUnavailable
│   └── PortTaken
├── BuildFailed               exit 1
├── SecretFound               exit 1    an image has a secret in it
├── NotReady                  exit 1    a container ended, or never became ready
├── DataRefused               exit 1    a database does not accept this project's credentials or version
├── Locked                    exit 1    another scaffold works on the same project
└── Interrupted               exit 130  Ctrl-C
"""

from __future__ import annotations


class ScaffoldError(Exception):
    """Base of all; `hint` is the next command or step, `evidence` the lines that show the cause."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None, *, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence = evidence


class UsageError(ScaffoldError):
    exit_code = 2


class ProjectError(ScaffoldError):
    exit_code = 2


class EngineError(ScaffoldError):
    pass


class EngineUnavailable(EngineError):
    pass


class PortTaken(EngineError):
    pass


class BuildFailed(ScaffoldError):
    pass


class SecretFound(ScaffoldError):
    pass


class NotReady(ScaffoldError):
    pass


class DataRefused(ScaffoldError):
    pass


class Locked(ScaffoldError):
    pass


class Interrupted(ScaffoldError):
    exit_code = 130

    def __init__(self, message: str = "Interrupted.", hint: str | None = None) -> None:
        super().__init__(message, hint)
