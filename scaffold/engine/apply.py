"""Walk the steps of a plan: one engine call each, side by side where the plan allows. Decides nothing."""

from __future__ import annotations

import contextlib
import io
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from scaffold.dockercli import buildx
from scaffold.engine import observe
from scaffold.engine.answers import moment
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import TIMEOUT, Refused
from scaffold.errors import EngineError, Interrupted, ScaffoldError
from scaffold.interrupt import Cancellation, side_by_side
from scaffold.project import first_starts
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service, container_names
from scaffold.stack.plan import Plan
from scaffold.stack.progress import Event, Failed, Finished, Output, Report, Said, Started
from scaffold.stack.requests.labelled import container_request, network_request, volume_request
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Prove,
    PullImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    SetAsideContainer,
    SetAsideData,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    words,
)

Prover = Callable[[Prove], str]
"""Wait until a service is ready; returns how it was proven, raises NotReady or DataRefused."""

VolumeMade = Callable[[str, datetime], None]
"""Hear of a volume that did not exist before, and when it was made, before anything is started on it."""

GRACE = 12.0
"""Seconds that a step may take to its end after Ctrl-C; a build that is given up has ten."""
PULSE = 0.1
"""Seconds between two looks for a signal."""
WORKERS = 16
"""Steps wait for the engine, not for this process."""


@dataclass
class Applied:
    """How an apply went: seconds by step index, for `--timings`."""

    spans: dict[int, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What every step of one apply needs."""

    desired: Desired
    engine: Engine
    report: Report
    prove: Prover
    cancellation: Cancellation
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those of .env, for build secrets that name one."""
    volume_made: VolumeMade = lambda _volume, _created: None
    allowed: frozenset[str] = frozenset()
    """Names of secrets that a person lets into an image."""
    thorough: bool = False
    """The layers of every image that is built are searched for secrets."""


def apply(plan: Plan, work: Work) -> Applied:
    """Do every step of the plan, each once those that it waits for are done.

    After the first failure nothing new is begun; what is under way is finished, and the error is raised.
    The same holds once the work is cancelled: then Interrupted is raised.
    """
    done: queue.SimpleQueue[tuple[int, ScaffoldError | None]] = queue.SimpleQueue()
    waiting = {index: set(item.after) for index, item in enumerate(plan.steps)}
    applied = Applied()
    origin = time.monotonic()
    abandoned = threading.Event()

    report = _heard(work.report, abandoned)

    def one(index: int, step: Step) -> None:
        error: ScaffoldError | None = None
        try:
            error = told(index, step)
        except BaseException as raised:  # noqa: BLE001 - a reporter's error must reach the person too
            error = _unforeseen(step, raised)
        finally:
            # Without it the wait below, and the project's lock with it, would last for ever.
            done.put((index, error))

    def told(index: int, step: Step) -> ScaffoldError | None:
        """Do a step between its two reports; return what went wrong with it."""
        begun = time.monotonic()
        report(Started(index, step))
        error: ScaffoldError | None = None
        detail = ""
        try:
            detail = _do(step, index, work)
            if detail and not isinstance(step, Prove):
                work.report(Said(index, step, detail))
        except ScaffoldError as raised:
            error = raised
        except BaseException as raised:  # noqa: BLE001 - a thread's error must reach the person
            error = _unforeseen(step, raised)
        seconds = time.monotonic() - begun
        applied.spans[index] = (begun - origin, seconds)
        report(Failed(index, step, seconds, error) if error else Finished(index, step, seconds, detail))
        return error

    first_error: ScaffoldError | None = None
    running: set[int] = set()
    # A proof only waits: however many there are, what can be started is.
    workers = WORKERS + sum(isinstance(planned.step, Prove) for planned in plan.steps)
    with contextlib.ExitStack() as stack, work.cancellation.finishing(), side_by_side(workers) as pool:
        stack.callback(abandoned.set)
        while True:
            if first_error is None and not work.cancellation.requested:
                for index in [index for index, needs in waiting.items() if not needs]:
                    del waiting[index]
                    running.add(index)
                    pool.submit(one, index, plan.steps[index].step)
            if not running:
                break
            index, error = _awaited(done, work.cancellation, _grace(plan, running))
            running.remove(index)
            first_error = first_error or error
            for needs in waiting.values():
                needs.discard(index)
    if first_error:
        raise first_error
    if waiting:
        raise Interrupted
    return applied


def _heard(report: Report, abandoned: threading.Event) -> Report:
    """Return what reports until nobody waits any more: a thread must not write below the last word."""

    def tell(event: Event) -> None:
        if not abandoned.is_set():
            report(event)

    return tell


def _unforeseen(step: Step, raised: BaseException) -> EngineError:
    error = EngineError(f"{' '.join(words(step))}: {type(raised).__name__}: {raised}")
    error.__cause__ = raised
    return error


def _grace(plan: Plan, running: Iterable[int]) -> float:
    """Return the seconds that what was begun may go on once the person has given up."""
    steps = [plan.steps[index].step for index in running]
    return GRACE + max((step.timeout for step in steps if isinstance(step, StopContainer)), default=0)


def _awaited(
    done: queue.SimpleQueue[tuple[int, ScaffoldError | None]], cancellation: Cancellation, grace: float
) -> tuple[int, ScaffoldError | None]:
    """Return what comes next, and let Python see to signals meanwhile.

    One that arrives while the interpreter is just about to block would otherwise wait for the next step.
    Raises Interrupted for what does not come to its end: what the engine does then, it finishes alone.
    """
    while True:
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=PULSE)
        if cancellation.seconds > grace:
            raise Interrupted


def _do(step: Step, index: int, work: Work) -> str:
    """Do one step; return a word on how it went. Safe to repeat: what is done already counts as done."""
    engine, desired = work.engine, work.desired
    with engine_errors(" ".join(words(step))):
        match step:
            case PullImage():
                _pull(step, index, work)
            case BuildImage():
                _build(step, index, work)
            case CreateNetwork():
                engine.post("/networks/create", network_request(desired, step.network))
            case RemoveNetwork(name=name):
                _gone(lambda: engine.delete(f"/networks/{name}"))
            case CreateVolume():
                _create_volume(step, work)
            case RemoveVolume(name=name):
                return _remove_volume(name, engine)
            case RemoveImage(reference=reference):
                return _remove_image(reference, engine)
            case CreateContainer():
                _create_container(step, desired, engine)
            case SetAsideContainer(name=name):
                _gone(lambda: engine.post(f"/containers/{name}/rename", name=step.aside))
            case SetAsideData():
                from scaffold.engine import asides

                return asides.set_aside(step, desired, engine)
            case StartContainer(name=name):
                _start(name, work)
            case Prove():
                return work.prove(step)
            case UnpauseContainer() | StopContainer() | RemoveContainer():
                _end(step, engine)
    return ""


def _end(step: UnpauseContainer | StopContainer | RemoveContainer, engine: Engine) -> None:
    match step:
        case UnpauseContainer(name=name):
            engine.post(f"/containers/{name}/unpause")
        case StopContainer(name=name, timeout=timeout):
            stop(name, timeout, engine)
        case RemoveContainer(name=name):
            # Anonymous volumes stay: whether they hold somebody's data cannot be known.
            _gone(lambda: engine.delete(f"/containers/{name}"))


def _remove_volume(name: str, engine: Engine) -> str:
    """Remove a volume, or say that somebody has come to use it meanwhile: the rest goes on."""
    try:
        _gone(lambda: engine.delete(f"/volumes/{name}"))
    except Refused as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return f"Volume {name} stays: {error.explanation}."
    first_starts.forget(name)
    return ""


def _remove_image(reference: str, engine: Engine) -> str:
    """Remove an image, or say that a container of somebody's uses it: the rest goes on."""
    try:
        _gone(lambda: engine.delete(f"/images/{quote(reference)}"))
    except Refused as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return f"Image {reference} stays: {error.explanation}."
    return ""


def _gone(remove: Callable[[], object]) -> None:
    try:
        remove()
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def stop(name: str, timeout: int, engine: Engine) -> None:
    """Stop within the service's own grace period; the HTTP call may take as long as that."""
    _gone(lambda: engine.post(f"/containers/{name}/stop", timeout=timeout + TIMEOUT, t=timeout))


def _create_volume(step: CreateVolume, work: Work) -> None:
    volume, desired = step.volume, work.desired
    request = volume_request(desired, volume)
    made = work.engine.post("/volumes/create", request)
    # The engine answers with the volume of this name that somebody else has made meanwhile.
    owner, path = made["Labels"].get(names.PROJECT, ""), made["Labels"].get(names.PATH, "")
    if (owner and owner != desired.project) or (path and path != desired.path):
        raise EngineError(
            f"Volume {volume.name} was made meanwhile by project {owner}{f' in {path}' if path else ''}.",
            "Repeat the command: it says whether the two are in each other's way.",
        )
    if made["Labels"] == request["Labels"] and made.get("CreatedAt"):
        work.volume_made(volume.name, moment(made["CreatedAt"]))


def _create_container(step: CreateContainer, desired: Desired, engine: Engine) -> None:
    image = observe.image_id(engine, step.service.image) or ""
    request = container_request(desired, step.service, step.number, step.keeps, image)
    engine.post("/containers/create", request, name=step.name, platform=step.service.platform)


def _start(name: str, work: Work) -> None:
    """Start a container; before its first start it gets its inline secrets and configs.

    Not at its creation: whoever is killed between the two would leave one that only looks complete.
    """
    engine = work.engine
    services = work.desired.services
    service = next((item for item in services if name in container_names(work.desired, item)), None)
    if service and service.files and engine.get(f"/containers/{name}/json")["State"]["Status"] == "created":
        engine.unpack(name, _archive(service))
    engine.post(f"/containers/{name}/start")


def _archive(service: Service) -> bytes:
    """Return a tar of the inline secrets and configs, as Compose copies them in."""
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in service.files:
            content = file.content.reveal().encode()
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), file.mode, file.uid, file.gid
            entry.mtime = int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _build(step: BuildImage, index: int, work: Work) -> None:
    from scaffold.engine.build import context
    from scaffold.engine.build import image as images
    from scaffold.engine.build.proof import Proof, Secrets

    service = step.service
    assert service.build is not None

    triggered = False

    def show(event: images.BuildEvent) -> None:
        nonlocal triggered
        match event:
            case images.StepStarted(name=text) if context.is_trigger(text):
                triggered = True
                work.report(Output(index, step, text))
            case (
                images.StepStarted(name=text) | images.StepOutput(line=text) | images.BuildWarning(text=text)
            ):
                work.report(Output(index, step, text))

    labels = buildx.labels(work.desired.project, service.name, work.desired.compose_version)
    known = Secrets(
        work.desired.confidential.known, work.desired.path, work.variables, work.allowed, work.thorough
    )
    proof = Proof(service.image, service.build, engine=work.engine, secrets=known)
    proof.before()
    options = images.Options(
        labels=labels, environment=work.variables, loaded_as=proof.loaded_as, overhear=proof.overhear
    )
    with contextlib.ExitStack() as stack:

        def cancel_with(process: subprocess.Popen[bytes]) -> None:
            stack.enter_context(work.cancellation.wakes(process.terminate))

        try:
            images.build(service.image, service.build, show, options, process_hook=cancel_with)
        except ScaffoldError as error:
            # Told to stop before its first step, buildx speaks of an engine that it could not connect to.
            if work.cancellation.requested:
                raise images.cancelled(service.image) from error
            raise
    proof.after()
    made = observe.image_id(work.engine, service.image)
    if made:
        context.remember_image(made, service.build)
    if triggered:
        context.remember_triggers(service.build)


def _pull(step: PullImage, index: int, work: Work) -> None:
    """Pull with progress; the engine reports errors inside the stream."""
    from scaffold.engine import pulls

    try:
        for event in _until_cancelled(
            lambda: pulls.begin(work.engine, step.reference, step.platform), work.cancellation
        ):
            if "error" in event:
                raise _unpulled(step.reference, str(event["error"]), work.variables)
            status = event.get("status", "")
            if status and "progressDetail" not in event:
                work.report(Output(index, step, status))
    except Refused as error:
        raise _unpulled(step.reference, error.explanation, work.variables) from error


def _until_cancelled(
    begin: Callable[[], Iterator[dict[str, Any]]], cancellation: Cancellation
) -> Iterator[dict[str, Any]]:
    """Yield the stream's events; raise Interrupted as soon as the person gives up, whatever it waits for.

    Even its beginning may be long in coming: a registry may say nothing for half a minute. The reader is left
    to the end of the process; that closes the connection, and the engine gives the pull up.
    """
    events: queue.SimpleQueue[dict[str, Any] | BaseException | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for event in begin():
                events.put(event)
            events.put(None)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            events.put(error)

    threading.Thread(target=read, name="pull", daemon=True).start()
    with cancellation.wakes(lambda: events.put(Interrupted())):
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event


def _unpulled(reference: str, said: str, variables: Mapping[str, str]) -> EngineError:
    from scaffold.diagnose.engine import unpulled

    found = unpulled(reference, said, variables.get("REGISTRY", ""))
    return EngineError(f"Image {reference} cannot be pulled: {found.message}.", found.hint)
