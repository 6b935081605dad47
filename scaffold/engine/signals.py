"""Send signals to containers."""

from __future__ import annotations

from scaffold.engine.client import Engine, engine_errors


def send(engine: Engine, container: str, signal: str) -> None:
    """Send one signal to the container's first process; after SIGKILL it has ended when this returns."""
    with engine_errors(f"container {container}"):
        engine.post(f"/containers/{container}/kill", signal=signal)
