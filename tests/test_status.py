"""The status of a project, from plain values."""

from dataclasses import replace
from datetime import UTC, datetime

from scaffold.stack import names, observed
from scaffold.stack.desired import Dependency, Desired, Network, Port, Service, Volume
from scaffold.stack.observed import Container, Observed
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.status import NetworkStatus, ServiceStatus, Status, VolumeStatus, status
from scaffold.stack.steps import StartContainer

PROJECT = "demo-1a2b3c4d"
THEN = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
NOTHING_TO_DO = Plan()

db = Service("db", "postgres:18", {}, volumes=("demo_data",), ports=(Port(5432, "5432", "127.0.0.1"),))
migrate = Service("migrate", "demo-app", {}, one_shot=True)
app = Service(
    "app",
    "demo-app",
    {},
    networks=("demo_backend",),
    depends_on=(Dependency("db", "service_healthy"),),
    ports=(Port(9000), Port(8000, "8000", "127.0.0.1")),
)
ready_app = replace(app, ready_path="/readyz")


def desired(*services: Service, inactive: tuple[str, ...] = ()) -> Desired:
    return Desired(
        PROJECT,
        "/home/me/demo",
        services,
        networks=(Network("backend", "demo_backend"), Network("unused", "demo_unused")),
        volumes=(Volume("db-data", "demo_data"),),
        inactive=inactive,
    )


def container(service: str, state: str = "running", **facts: object) -> Container:
    base = Container(
        id=service,
        name=f"{PROJECT}-{service}-1",
        state=state,
        image="some-image",
        image_id="sha256:1",
        labels={names.PROJECT: PROJECT, names.SERVICE: service},
        created=THEN,
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def volume(name: str) -> observed.Volume:
    return observed.Volume(name, THEN, {names.PROJECT: PROJECT})


def look(wanted: Desired, *containers: Container) -> Status:
    return status(wanted, Observed(containers), NOTHING_TO_DO)


def test_running_service_shows_what_the_engine_knows() -> None:
    running = container(
        "db", health="healthy", started=THEN, restarts=2, ports=(("5432/tcp", "127.0.0.1", 5433),)
    )
    assert look(desired(db), running).services == (
        ServiceStatus(
            name="db",
            container=f"{PROJECT}-db-1",
            state="running",
            health="healthy",
            image="some-image",
            ports=("127.0.0.1:5433→5432/tcp",),
            restarts=2,
            created=THEN,
            started=THEN,
        ),
    )


def test_service_without_container_is_absent() -> None:
    assert look(desired(db)).services == (ServiceStatus("db", None, "absent", None, "postgres:18"),)


def test_each_replica_has_its_line() -> None:
    found = look(desired(replace(app, replicas=2)), container("app")).services
    assert [(item.name, item.state) for item in found] == [("app", "running"), ("app", "absent")]


def test_one_shot_that_succeeded_is_completed() -> None:
    found = look(desired(migrate), container("migrate", "exited"))
    assert [(item.state, item.exit_code) for item in found.services] == [("completed", 0)]


def test_one_shot_that_failed_is_exited() -> None:
    found = look(desired(migrate), container("migrate", "exited", exit_code=3))
    assert [(item.state, item.exit_code) for item in found.services] == [("exited", 3)]


def test_health_of_an_ended_container_says_nothing() -> None:
    assert look(desired(db), container("db", "exited", health="unhealthy")).services[0].health is None


def test_service_of_an_inactive_profile_shows_only_when_it_is_there() -> None:
    wanted = desired(inactive=("test",))
    assert look(wanted).services == ()
    assert [item.name for item in look(wanted, container("test")).services] == ["test"]


def test_up_to_date_means_that_the_plan_changes_nothing() -> None:
    step = StartContainer(f"{PROJECT}-db-1", "stopped")
    assert look(desired(db)).up_to_date
    assert not status(desired(db), Observed(), Plan((Planned(step),))).up_to_date


def test_database_that_nobody_has_logged_in_to_is_not_up_to_date() -> None:
    there = container("db")
    found = status(desired(db), Observed((there,), unproven=(there.name,)), NOTHING_TO_DO)
    assert (found.up_to_date, found.unproven) == (False, ("db",))


def test_url_is_that_of_the_service_with_a_ready_path() -> None:
    other = container("admin", ports=(("80/tcp", "127.0.0.1", 8080),))
    admin = Service("admin", "admin", {}, ports=(Port(80, "8080"),))
    ready = container("app", ports=(("8000/tcp", "127.0.0.1", 8123),))
    assert look(desired(admin, ready_app), other, ready).url == "http://127.0.0.1:8123"


def test_url_without_a_ready_path_is_the_first_published_port_that_is_no_database() -> None:
    containers = (
        container("db", ports=(("5432/tcp", "127.0.0.1", 5432),)),
        container("app", ports=(("8000/tcp", "127.0.0.1", 8000),)),
    )
    assert look(desired(db, app), *containers).url == "http://127.0.0.1:8000"
    assert look(desired(db), *containers).url is None


def test_url_of_a_stopped_project_is_none() -> None:
    assert look(desired(ready_app), container("app", "exited")).url is None


def test_url_of_a_port_published_everywhere_is_local() -> None:
    ports = (("8000/tcp", "::", 8000), ("8000/tcp", "0.0.0.0", 8000))
    assert look(desired(ready_app), container("app", ports=ports)).url == "http://127.0.0.1:8000"


def test_ports_on_ipv6_have_brackets() -> None:
    found = look(desired(app), container("app", ports=(("8000/tcp", "::1", 8000),)))
    assert found.services[0].ports == ("[::1]:8000→8000/tcp",)


def test_networks_that_no_service_uses_are_left_out() -> None:
    assert look(desired(app)).networks == (NetworkStatus("demo_backend", exists=False),)


def test_volumes_have_size_and_birth_and_old_ones_stay_in_sight() -> None:
    there = Observed(volumes=(volume("demo_data"), volume("demo_old")))
    found = status(desired(db), there, NOTHING_TO_DO, {"demo_data": 47_000_000})
    assert found.volumes == (
        VolumeStatus("demo_data", exists=True, size=47_000_000, created=THEN),
        VolumeStatus("demo_old", exists=True, created=THEN, declared=False),
    )


def test_volume_that_is_not_there_yet() -> None:
    assert look(desired(db)).volumes == (VolumeStatus("demo_data", exists=False),)


def test_orphans_are_containers_that_compose_yaml_no_longer_knows() -> None:
    one_off = container("db", labels={names.SERVICE: "gone", names.ONE_OFF: "True"})
    found = look(desired(db, inactive=("test",)), container("old"), container("test"), one_off)
    assert found.orphans == (f"{PROJECT}-old-1",)
