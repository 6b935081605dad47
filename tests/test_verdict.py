"""What is made of logs, of the engine's and of Compose's texts: the cause, and the way out."""

from dataclasses import replace

import pytest

from scaffold.diagnose import compose, engine
from scaffold.diagnose.container import Evidence, Program, explain
from scaffold.diagnose.log import headline
from scaffold.engine import remains
from scaffold.stack.desired import Port, Service

BODY = {"HostConfig": {"Binds": ["/home/me/shop/start.sh:/start.sh:ro"], "Memory": 64 * 2**20}}


def app(**environment: str) -> Service:
    return Service(
        "app",
        "shop-app",
        BODY,
        ports=(Port(8000, "8080"),),
        ready_path="/",
        environment=tuple(environment.items()),
    )


def ended(*log: str, service: Service | None = None, exit_code: int = 1, **more: object) -> Evidence:
    return Evidence(
        service or app(),
        "app is not ready.",
        services=("app", "db"),
        databases=("db",),
        ended=True,
        exits=1,
        exit_code=exit_code,
        log=log,
        **more,  # type: ignore[arg-type]
    )


def test_error_of_a_structured_log_is_the_headline() -> None:
    log = (
        '{"level":"info","message":"starting"}',
        '{"level":"error","message":"cannot start","error":{"message":"DATABASE_URL is missing"}}',
        '{"level":"info","message":"bye"}',
    )
    assert headline(log) == "error: cannot start: DATABASE_URL is missing"


def test_last_line_is_the_headline_where_nothing_is_an_error() -> None:
    assert headline(("one", "two", "")) == "two"
    assert headline(()) == ""


@pytest.mark.parametrize(
    ("environment", "line", "message", "hint"),
    [
        (
            {"DB_HOST": "database"},
            "socket.gaierror: [Errno -2] Name or service not known",
            "database",
            "`db`",
        ),
        (
            {"DATABASE_URL": "postgresql://app:x@database:5432/app"},
            'could not translate host name "database" to address',
            'DATABASE_URL names the host "database"',
            "`db`",
        ),
        (
            {"DATABASE_URL": "postgresql://app:x@localhost/app"},
            "connection refused",
            "DATABASE_URL names localhost, which inside a container is that container",
            "`db`",
        ),
        (
            {"DATABASE_URL": "postgresql://app:hunter@22@db:5432/app"},
            'could not translate host name "22@db" to address',
            "the password in DATABASE_URL has a letter that ends a part of a URL",
            "`@` as `%40`",
        ),
        (
            {"DATABASE_URL": "postgresql://app:hunt/er22@db:5432/app"},
            "connection refused",
            "the password in DATABASE_URL has a letter that ends a part of a URL",
            "`/` as `%2F`",
        ),
        (
            {"DATABASE_URL": "app:hunter22@db/app"},
            "invalid connection string",
            "DATABASE_URL is no URL, it is `app:•••@db/app`",
            "postgresql://",
        ),
        (
            {"DATABASE_URL": "app:pa/ss@9999@db/x"},
            "invalid connection string",
            "DATABASE_URL is no URL, it is `app:•••@db/x`",
            "postgresql://",
        ),
        (
            {"DATABASE_URL": "jdbc:postgresql://app:pa/ss9999@db/x"},
            "invalid connection string",
            "DATABASE_URL is no URL, it is `jdbc:postgresql://app:•••@db/x`",
            "postgresql://",
        ),
    ],
)
def test_variable_that_leads_nowhere_is_named(
    environment: dict[str, str], line: str, message: str, hint: str
) -> None:
    found = explain(ended(line, service=app(**environment)))
    assert message in found.message
    assert hint in found.hint


def test_url_of_a_database_is_not_sent_to_a_service_that_is_none() -> None:
    service = app(DATABASE_URL="postgresql://app:x@database:5432/app")
    line = 'could not translate host name "database" to address'
    evidence = replace(ended(line, service=service), services=("app", "worker"), databases=())
    assert explain(evidence).hint == "Correct DATABASE_URL."


def test_refused_connection_to_a_real_service_blames_no_variable() -> None:
    found = explain(ended("error: connection refused", service=app(DB_HOST="db")))
    assert found.message == "app exited with code 1 before it was ready: error: connection refused."


def test_database_that_is_not_the_projects_is_reached_by_its_url() -> None:
    line = '{"level": "critical", "message": "giving up", "reason": "password authentication failed"}'
    service = app(DATABASE_URL="postgresql://app:secret@example.com/app")
    found = explain(replace(ended(line, service=service), databases=()))
    assert "giving up: password authentication failed" in found.message
    assert found.hint == "Correct DATABASE_URL in .env, or see to the database that it names."
    assert "scaffold logs" in str(explain(ended(line, service=service)).hint), (
        "the database beside it has a log"
    )


def test_values_of_secret_variables_are_hidden() -> None:
    found = explain(ended("Error: cannot log in with correct-horse", service=app(API_TOKEN="correct-horse")))
    assert "correct-horse" not in found.message


@pytest.mark.parametrize(
    ("begin", "message", "hint"),
    [
        (None, "is not found", "`command:`"),
        (b"#!/bin/sh\r\nexit", "Windows line ends", r"sed -i 's/\r$//' /home/me/shop/start.sh"),
        (b"#!/usr/bin/fish\n", "its interpreter /usr/bin/fish is missing", "chmod +x /home/me/shop/start.sh"),
        (b"\x7fELF", "no permission", "chmod +x /home/me/shop/start.sh"),
    ],
)
def test_program_that_cannot_be_executed_is_looked_into(begin: bytes | None, message: str, hint: str) -> None:
    found = explain(ended(program=Program("/start.sh", "/home/me/shop/start.sh", begin), exit_code=127))
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    ("code", "message"),
    [(0, "its program ended by itself"), (139, "SIGSEGV"), (137, "SIGKILL"), (3, "with code 3 before")],
)
def test_exit_code_says_something(code: int, message: str) -> None:
    assert message in explain(ended(exit_code=code)).message


def test_memory_limit_is_named() -> None:
    assert "its limit is 64 MB" in explain(ended(out_of_memory=True)).message


def test_tables_of_the_kernel_give_addresses_and_ports() -> None:
    tables = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000\n"
        "   1: 0B00007F:A5E1 00000000:0000 0A 00000000:00000000\n"
        "   2: 0100007F:C001 0100007F:1F40 01 00000000:00000000\n"
        "  sl  local_address                         remote_address                        st\n"
        "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n"
    )
    assert remains.parsed(tables) == (("127.0.0.1", 8000), ("::", 80))


def test_misspelt_key_is_recognised() -> None:
    said = "validating /shop/compose.yaml: services.app Additional property enviroment is not allowed"
    found = compose.explained(said, "/shop", ["environment", "image"])
    assert found.message == "services.app: there is no key `enviroment`"
    assert found.hint == "Did you mean `environment`?"


def test_unknown_complaint_stays_in_composes_own_words() -> None:
    found = compose.explained('time="…" level=warning msg="x"\nsomething new.\n', "/shop", [])
    assert found.message == "something new"
    assert "docker compose config" in found.hint


def test_unknown_refusal_loses_its_layers_only() -> None:
    said = (
        "failed to create task for container: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: something new: unknown"
    )
    assert engine.explained(said).message == "something new"


@pytest.mark.parametrize(
    "said",
    [
        'invalid mount config for type "bind": bind source path does not exist: /shop/code',
        "error mounting: open /shop/code: no such file or directory",
    ],
)
def test_source_of_a_mount_that_does_not_exist_is_named(said: str) -> None:
    found = engine.explained(said)
    assert found.message == "/shop/code is to be mounted, and does not exist"
    assert found.hint.startswith("Create /shop/code, or correct")


@pytest.mark.parametrize(
    ("reference", "said", "message"),
    [
        ("shop/app:1", "pull access denied for shop/app", "access denied by docker.io"),
        ("ghcr.io/shop/app:1", "denied", "access denied by ghcr.io"),
        ("app:9", "manifest for app:9 not found: manifest unknown", "docker.io does not have it"),
        ("app:9", "dial tcp: lookup registry-1.docker.io: no such host", "docker.io cannot be reached"),
        ("app:9", "toomanyrequests: rate limit", "wants no more pulls"),
    ],
)
def test_refused_pull_names_the_registry(reference: str, said: str, message: str) -> None:
    assert message in engine.unpulled(reference, said).message
