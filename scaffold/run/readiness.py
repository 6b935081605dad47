"""Prove that a service is ready, from outside: a login, an HTTP answer, the health check, or completion."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from scaffold.data import database as databases
from scaffold.data.model import Database, Place
from scaffold.engine import observe
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.listing import logs
from scaffold.engine.watch import Watched, watch
from scaffold.errors import DataRefused, EngineUnavailable, Interrupted, NotReady, ProjectError, ScaffoldError
from scaffold.interrupt import Cancellation
from scaffold.stack import desired as wish
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container
from scaffold.stack.secrets import hide
from scaffold.stack.steps import Prove

POLL = 0.015
"""Seconds between two questions to a server that is not there yet; there is no event for "it listens"."""
FIRST_PATIENCE = 0.1
"""Seconds for an answer at first: a connection that the engine's proxy opens before the container's network
is up waits a second for its first packet to be sent again, and a new one does not."""
LAST_PATIENCE = 5.0
"""Seconds for an answer later on: a readiness check may itself wait for a database."""
DEAF_AFTER = 5.0
"""Seconds without any answer after which it is worth a look where the server listens."""
CRASHES = 3
"""How often a container that the engine restarts may exit before we stop waiting for it."""
EVIDENCE = 20
"""Lines of the container's log that are shown with a failure."""
SEARCHED = 200
"""Lines that a database's verdict is looked for in: mongod prints forty more after the one that counts."""


RUNNING = "running"
"""How a service went that nothing can be asked of: it was only looked at."""
DONE = "done (exit code 0)"
"""How a program went that nobody asks anything, and that has come to its end."""


def _is_checked(service: Service, container: Container) -> bool:
    """Return whether the engine looks at its health: by compose.yaml, or by what only the image says."""
    check = container.config.get("Healthcheck")
    test = check.get("Test") if isinstance(check, Mapping) else None
    return service.has_healthcheck or bool(test and list(test)[:1] != ["NONE"])


Proven = Callable[[Service, Database, Container], None]
"""Hear of a database that has let the project in."""


@dataclass(frozen=True)
class Waiting:
    """What every proof of one run has in common."""

    engine: Engine
    desired: Desired
    timeout: float
    """seconds for each service"""
    cancellation: Cancellation
    proven: Proven = lambda _service, _database, _container: None

    def prove(self, step: Prove) -> str:
        """Wait until the service is ready; return how that was proven.

        Raises NotReady when it ends or the time is up, DataRefused when the database turns the
        credentials down, Interrupted when the person gave up.
        """
        details = [self._prove_one(step.service, name) for name in step.containers]
        return details[0] if details else ""

    def _prove_one(self, service: Service, name: str) -> str:
        begun = time.monotonic()
        deadline = begun + self.timeout
        allowed = CRASHES if service.restarts and not service.one_shot else 1
        with (
            watch(self.engine, name, allowed_exits=allowed) as watched,
            self.cancellation.wakes(watched.wake),
        ):
            try:
                how = self._wait(service, name, watched, deadline)
            except ScaffoldError as error:
                if self.cancellation.requested:
                    raise Interrupted from error
                if isinstance(error, NotReady):
                    raise self._verdict(service, name, watched, error) from error
                raise
        return how if how in (RUNNING, DONE) else f"{how} after {time.monotonic() - begun:.2f} s"

    def _wait(self, service: Service, name: str, watched: Watched, deadline: float) -> str:
        if service.one_shot:
            with engine_errors(f"container {name}"):
                now = observe.inspect(self.engine, name)
            return self._complete(service, name, now, watched, deadline)
        now = self._between_restarts(service, name, watched, deadline)
        checked = bool(service.ready_path or service.ports or _is_checked(service, now))
        if now.state == "exited" and now.exit_code == 0 and not checked:
            return DONE
        if now.state != "running":
            raise NotReady(f"{service.name} exited with code {now.exit_code}.")
        database = databases.database_in(service, now.config)
        if database:
            address = self._address(now, database.port)
            if address:
                version = databases.wait_until_ready(database, *address, deadline, watched.ended)
                self._refuse_half_way(service, now)
                self.proven(service, database, now)
                return (
                    f"login as {database.user} to {database.kind.name} {version}"
                    if database.user
                    else f"{database.kind.name} {version}"
                )
        first = service.ports[0] if service.ports else None
        port = now.reachable(f"{first.target}/{first.protocol}") if first else None
        if service.ready_path and port and self.engine.is_local:
            return self._answering(service, now, port, deadline, watched)
        if _is_checked(service, now):
            return self._healthy(service, name, watched, deadline)
        self._refuse_unchecked(service)
        return RUNNING

    def _between_restarts(self, service: Service, name: str, watched: Watched, deadline: float) -> Container:
        """Return the container once it is up, or has ended: while it restarts it has no address to ask."""
        for now in self._looks(name, watched, deadline):
            if now.state != "restarting":
                return now
        raise NotReady(f"{service.name} exits again and again.")

    def _looks(self, name: str, watched: Watched, deadline: float) -> Iterator[Container]:
        """Yield the container now, and again as its events say when to look, until it ends or time is up."""
        while True:
            watched.news.clear()
            with engine_errors(f"container {name}"):
                now = observe.inspect(self.engine, name)
            yield now
            if watched.ended.is_set() or time.monotonic() > deadline:
                return
            watched.news.wait(min(1.0, max(0.0, deadline - time.monotonic())))

    def _refuse_unchecked(self, service: Service) -> None:
        """Raise ProjectError, as Compose does, when somebody waits for a health that nothing looks at."""
        for other in self.desired.services:
            for need in other.depends_on:
                if need.service == service.name and need.condition == "service_healthy":
                    raise ProjectError(
                        f"services.{other.name}.depends_on.{service.name}: `service_healthy` needs a health "
                        "check, and neither compose.yaml nor the image has one.",
                        f"Add `healthcheck:` to services.{service.name}, or wait for `service_started`.",
                    )

    def _answering(
        self,
        service: Service,
        container: Container,
        address: tuple[str, int],
        deadline: float,
        watched: Watched,
    ) -> str:
        """Wait for the ready path, but not to the end for a server that only its container reaches."""
        soon = min(deadline, time.monotonic() + DEAF_AFTER)
        try:
            return _wait_for_http(service, address, soon, watched.ended)
        except Unanswered as error:
            if watched.ended.is_set() or soon == deadline:
                raise
            if error.answer is None and self._is_deaf(service, container):
                raise
        return _wait_for_http(service, address, deadline, watched.ended)

    def _is_deaf(self, service: Service, container: Container) -> bool:
        """Return whether the server listens on the container's loopback address and nowhere else."""
        from scaffold.engine import remains

        listening = remains.listening(self.engine, container.id, 0) or ()
        here = {address for address, port in listening if port == service.ports[0].target}
        return bool(here) and here <= {"127.0.0.1", "::1"}

    def _address(self, container: Container, port: int) -> tuple[str, int] | None:
        """Return where the server can be reached from here, None when it cannot."""
        if not self.engine.is_local:
            return None
        # Docker Desktop's containers live in a virtual machine: their own addresses lead nowhere there.
        direct = (container.address, port) if container.address and sys.platform == "linux" else None
        return container.reachable(f"{port}/tcp") or direct

    def _complete(
        self, service: Service, name: str, now: Container, watched: Watched, deadline: float
    ) -> str:
        if now.state in ("created", "running"):
            _until(watched.ended, deadline, f"{service.name} has not finished in time.")
            with engine_errors(f"container {name}"):
                now = observe.inspect(self.engine, name)
        if self.cancellation.requested:
            raise NotReady("cancelled")
        if now.state not in ("exited", "dead"):
            raise NotReady(f"{service.name} has not finished.")
        if now.exit_code != 0:
            raise NotReady(f"{service.name} failed with exit code {now.exit_code}.")
        self._refuse_idle(service, now)
        return "completed"

    def _refuse_idle(self, service: Service, container: Container) -> None:
        """Raise DataRefused when a migration has found nothing to do in a database that has nothing in it.

        Only where compose.yaml says that all it does is in the volumes behind it. Its container goes: the
        next run has to begin it again, not to find that it has ended well.
        """
        for need in service.depends_on if service.once else ():
            behind = self.desired.service(need.service) if need.service not in self.desired.inactive else None
            database = databases.database_of(behind) if behind else None
            asked = database.kind.objects(database) if database else None
            if behind is None or database is None or asked is None:
                continue
            server = wish.container_name(self.desired, behind, 1)
            with engine_errors(f"container {server}"):
                said = self.engine.printed(server, list(asked)).decode(errors="replace").strip()
            if said != "0":
                continue
            with engine_errors(f"container {container.name}"):
                lines = tuple(
                    hide(line, service.hidden) for line in logs.tail(self.engine, container.id, EVIDENCE)
                )
                self.engine.delete(f"/containers/{container.id}")
            raise DataRefused(
                f'{service.name} ended well and did nothing: database "{database.name}" of '
                f"services.{behind.name} has not one table.",
                f"Look at what services.{service.name} is given: a folder of migrations that is empty or not "
                "mounted looks like this. Then run again.",
                evidence=lines,
            )

    def _refuse_half_way(self, service: Service, container: Container) -> None:
        """Raise DataRefused when a script failed in the first start: the image skips it from then on."""
        from scaffold.data import initialisation
        from scaffold.stack import storage
        from scaffold.stack.look import Medium

        with engine_errors(f"container {container.name}"):
            lines = tuple(
                hide(line, service.hidden) for line in logs.tail(self.engine, container.id, SEARCHED)
            )
        found = initialisation.half_way(lines)
        if found is None:
            return
        mounts = storage.present_mounts(container)
        where = storage.place(mounts, found.script)
        file = str(where) if where.medium is Medium.BIND else found.script
        raise DataRefused(
            f"services.{service.name}: {file} failed while the database was initialised, and the image never "
            "runs it again: what it and the scripts after it make is missing.",
            f"Correct it and run them yourself, such as `scaffold db < {file}`; then "
            "`scaffold run --recreate`, which begins a new log.",
            evidence=found.lines,
        )

    def _healthy(self, service: Service, name: str, watched: Watched, deadline: float) -> str:
        """Wait for the engine's own health check."""
        for now in self._looks(name, watched, deadline):
            if now.health == "healthy":
                return "healthy"
            if now.health == "unhealthy":
                raise NotReady(f"{service.name} is unhealthy.")
        raise NotReady(f"{service.name} has not become healthy in time.")

    def _verdict(self, service: Service, name: str, watched: Watched, error: NotReady) -> ScaffoldError:
        """Say why a service is not ready, with the last lines of its log."""
        # Most runs never need the causes that are known: a tenth of what they would import.
        from scaffold.diagnose.container import explain as of_container
        from scaffold.diagnose.database import explain as of_database
        from scaffold.run import evidence

        with engine_errors(f"container {name}"):
            now = observe.inspect(self.engine, name)
            lines = tuple(hide(line, service.hidden) for line in logs.tail(self.engine, name, SEARCHED))
        if watched.blind and now.state not in ("exited", "dead"):
            return EngineUnavailable(
                f"{service.name}: the Docker engine went away for a moment while it was waited for.",
                "Repeat the command: it goes on where it stopped.",
            )
        database = databases.database_in(service, now.config)
        refused = of_database(database, lines, self._place(service, database)) if database else None
        if refused:
            return refused
        left = evidence.gather(
            self.engine,
            self.desired,
            service,
            now,
            waiting=error.message,
            answer=error.answer if isinstance(error, Unanswered) else None,
            exits=watched.exits,
            exit_code=watched.exit_code or now.exit_code,
            out_of_memory=watched.oom,
            log=lines,
        )
        found = of_container(left)
        return NotReady(found.message, found.hint, evidence=lines[-EVIDENCE:])

    def _place(self, service: Service, database: Database) -> Place:
        """Return where a database has its data, for what its log says of that."""
        from scaffold.run import evidence
        from scaffold.stack import mounts

        found = mounts.targets(service)
        target = mounts.holding(found, database.kind.mount_path(database)) or ""
        volume = found.get(target, "").partition(":")[0]
        named = volume if volume in service.volumes else ""
        return Place(named, service.image, evidence.limits(self.desired, service))


class Unanswered(NotReady):
    """The ready path gave no 2xx; `answer` is the last status, None when there was none."""

    def __init__(self, message: str, answer: int | None) -> None:
        super().__init__(message)
        self.answer = answer


def _until(event: threading.Event, deadline: float, message: str) -> None:
    if not event.wait(max(0.0, deadline - time.monotonic())):
        raise NotReady(message)


def http_status(address: tuple[str, int], path: str, timeout: float) -> int | str:
    """Return the status code of one GET, or why there was none."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def _wait_for_http(
    service: Service, address: tuple[str, int], deadline: float, ended: threading.Event
) -> str:
    assert service.ready_path is not None
    patience = FIRST_PATIENCE
    status: int | None = None
    while True:
        asked = time.monotonic()
        last = http_status(address, service.ready_path, timeout=patience)
        if time.monotonic() - asked >= patience:
            patience = min(patience * 2, LAST_PATIENCE)
        status = last if isinstance(last, int) else status
        if isinstance(last, int) and 200 <= last < 300:
            return f"GET {service.ready_path} → {last}"
        if ended.is_set() or time.monotonic() > deadline:
            # A status that came once says more than a busy server's silence at the end.
            answer = f"answers {status}" if status else f"does not answer ({last})"
            url = f"http://{address[0]}:{address[1]}{service.ready_path}"
            raise Unanswered(f"{service.name} is not ready: {url} {answer}.", status)
        ended.wait(POLL)
