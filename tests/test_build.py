"""Images on a real engine: what buildx gets, what is reported, and what a failure says."""

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from scaffold.dockercli import buildx
from scaffold.engine import plugins
from scaffold.engine.build import context
from scaffold.engine.build import image as images
from scaffold.errors import (
    BuildFailed,
    EngineError,
    EngineUnavailable,
    Interrupted,
    ProjectError,
    ScaffoldError,
)
from scaffold.stack import names
from scaffold.stack.desired import Build, BuildSecret

PLAIN = images.Options()
BASE = "FROM debian:trixie-slim\n"

TREE = (
    "a.py a.pyc b.txt .env .env.local .env.example README.md readme.md docs/README.md docs/guide.md "
    "docs/.env src/a.py src/a.pyc src/.env src/deep/a.py src/deep/.env.example src/deep/er/a.log "
    "src/deep/er/keep.log node_modules/x/index.js src/node_modules/y/index.js src/node_modules/y/keep/me.js "
    "build/out/a.o build/keep.o build/out/keep.o [x]/a #hash/a trail/a a+b/c a^b/c {z}/c $d/c.txt"
)

IGNORES = {
    "negations": "*\n!src\nsrc/deep\n!src/deep/er/keep.log\n",
    "any depth": "**/.env*\n!.env.example\n**/*.py[co]\n**/node_modules\n",
    "exception below an ignored folder": "node_modules\n**/node_modules\n!src/node_modules/y/keep\n",
    "exception with a wildcard": "build\n!build/**/keep.o\n",
    "exception anywhere": "**\n!**/*.py\n",
    "exception taken back": "src\n!src/deep\nsrc/deep/er\n",
    "order": "!src/a.py\nsrc\n!src/deep/a.py\n",
    "spaces, comments, empty lines": "# all\n\n  b.txt  \n a.py\t\n#hash\n\\#hash\n   # no comment\n",
    "slashes": "/docs/\n./build//out\nsrc/../trail\n",
    "case": "readme.md\nSRC\n",
    "classes": "[[]x]\nsrc/[^d]*\n[a-b].*\n",
    "plus, caret, braces, dollar": "a+b\na^b\n{z}\n$d/*.txt\n",
    "question marks": "?.py\nsrc/????/?.py\n",
    "two stars in the middle": "src/**/a.*\n**/out/*.o\n",
    "two stars at the end": "src/**\nbuild/out**\n",
    "two stars at a name": "**.log\n**deep/a.py\n",
    "dots": ".\n..\n../b.txt\n/\n",
    "windows lines": "src\r\n!src/a.py\r\n",
    "everything": "*\n",
    "nothing": "",
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def image(project_name: str) -> str:
    """A name for one image, which goes when the test ends."""
    return f"{project_name}-app"


def write(root: Path, files: Mapping[str, str]) -> Build:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return Build(context=str(root), dockerfile="Dockerfile")


def make(image: str, build: Build, options: images.Options = PLAIN) -> list[images.BuildEvent]:
    events: list[images.BuildEvent] = []
    images.build(image, context.read(build), events.append, options)
    return events


def failure(image: str, build: Build, options: images.Options = PLAIN) -> ScaffoldError:
    with pytest.raises(ScaffoldError) as raised:
        make(image, build, options)
    return raised.value


def output(events: list[images.BuildEvent]) -> list[str]:
    return [event.line for event in events if isinstance(event, images.StepOutput)]


# --- the same files as BuildKit


@pytest.mark.engine
@pytest.mark.parametrize("rules", IGNORES.values(), ids=IGNORES.keys())
def test_context_holds_what_buildx_sends(tmp_path: Path, rules: str, engine: docker.DockerClient) -> None:
    build = write(tmp_path / "context", dict.fromkeys(TREE.split(), "") | {".dockerignore": rules})
    write(tmp_path, {"Dockerfile": "FROM scratch\nCOPY . /\n"})
    build = replace(build, dockerfile="../Dockerfile")
    subprocess.run(
        [
            *plugins.command("buildx"),
            *("build", "--file", str(tmp_path / "Dockerfile"), "--provenance=false"),
            *("--output", f"type=local,dest={tmp_path / 'out'}", build.context),
        ],
        check=True,
        capture_output=True,
    )
    out = tmp_path / "out"
    sent = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    assert set(context.read(build).files) - {"../Dockerfile"} == sent


# --- what an image gets


@pytest.mark.engine
def test_image_has_arguments_secrets_labels_and_tags(
    tmp_path: Path, image: str, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = write(
        tmp_path,
        {
            "docker/Dockerfile": f"{BASE[:-1]} AS first\nARG PLAIN\nARG DB_PASSWORD\nARG FROM_HERE\n"
            "RUN --mount=type=secret,id=file --mount=type=secret,id=variable"
            ' test "$(cat /run/secrets/file)" = "in the file"'
            ' && test "$(cat /run/secrets/variable)" = "in the variable"'
            ' && test "$PLAIN,$DB_PASSWORD,$FROM_HERE" = "1,hunter22,3"'
            " && grep -q 10.1.2.3 /etc/hosts\n"
            "COPY --from=other thing /thing\n"
            "FROM scratch AS never\nRUN false\n",
            "secret,with comma": "in the file",
            "other/thing": "",
        },
    )
    monkeypatch.setenv("FROM_HERE", "3")
    build = replace(
        build,
        dockerfile="docker/Dockerfile",
        target="first",
        args=(("DB_PASSWORD", "hunter22"), ("FROM_HERE", None), ("PLAIN", "1")),
        labels=(("own", "a=b c"),),
        secrets=(
            BuildSecret("file", file=str(tmp_path / "secret,with comma")),
            BuildSecret("variable", environment="PROJECT_VARIABLE"),
        ),
        tags=(f"{image}:extra",),
        contexts=(("other", str(tmp_path / "other")),),
        extra_hosts=("there=10.1.2.3",),
        platforms=("linux/amd64",),
        shm_size=33554432,
    )
    options = images.Options(
        labels=((names.PROJECT, "p"), (names.SERVICE, "s")),
        environment={"PROJECT_VARIABLE": "in the variable"},
    )
    make(image, build, options)
    made = engine.images.get(image)
    assert (
        made.labels.items()
        >= {
            "own": "a=b c",
            names.PROJECT: "p",
            names.SERVICE: "s",
        }.items()
    )
    assert engine.images.get(f"{image}:extra").id == made.id
    assert "hunter22" not in " ".join(buildx.arguments(image, build, hidden=("DB_PASSWORD",)))


@pytest.mark.engine
def test_build_is_remembered_for_the_next_plan(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    build = write(tmp_path, {"Dockerfile": f"{BASE}COPY a /\n", "a": ""})
    make(image, build)
    assert set(context.manifest(context.read(build).digest)) == {"Dockerfile", "a"}
    # The image itself carries nothing of it: it is the one that Compose would build.
    assert not [name for name in engine.images.get(image).labels if name.startswith("dev.scaffold")]


@pytest.mark.engine
def test_inline_dockerfile_is_built(tmp_path: Path, image: str, engine: docker.DockerClient) -> None:
    build = replace(write(tmp_path, {"a": ""}), inline=f"{BASE}COPY a /inline\n")
    make(image, build)
    assert engine.images.get(image).history()[0]["CreatedBy"].startswith("COPY a /inline")


# --- what is reported


@pytest.mark.engine
def test_steps_are_reported_with_output_and_cache(tmp_path: Path, image: str) -> None:
    run = f"RUN echo {secrets.token_hex(4)}; printf 'bar 1\\rbar 2\\nlast'"
    build = write(tmp_path, {"Dockerfile": f"{BASE}{run}\n"})
    first = make(image, build)
    started = {event.id: event.name for event in first if isinstance(event, images.StepStarted)}
    (step,) = [id_ for id_, name in started.items() if name.endswith(run)]
    assert output(first) == [run.split()[2].rstrip(";"), "bar 2", "last"]
    again = make(image, build)
    assert step in [event.id for event in again if isinstance(event, images.StepStarted)]
    assert output(again) == []
    assert output(make(image, replace(build, no_cache=True))) == output(first)


@pytest.mark.engine
def test_secrets_are_masked_in_output_and_errors(tmp_path: Path, image: str) -> None:
    build = write(
        tmp_path,
        {
            "Dockerfile": f"{BASE}ARG API_TOKEN\nARG URL\nARG N={secrets.token_hex(4)}\n"
            "RUN --mount=type=secret,id=s echo $API_TOKEN $URL; cat /run/secrets/s; exit 3\n",
            "secret": "from-a-file\n",
            ".dockerignore": "secret",
        },
    )
    build = replace(
        build,
        args=(("API_TOKEN", "t0ps3cret"), ("URL", "https://user:pa55word@example.com")),
        secrets=(BuildSecret("s", file=str(tmp_path / "secret")),),
    )
    error = failure(image, build)
    assert error.evidence == ("••• https://user:•••@example.com", "•••")


# --- what a failure says


@pytest.mark.engine
@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (
            "RUN echo why; exit 3\n",
            "build failed at step `RUN echo why; exit 3` (exit code 3): why.",
            "--verbose",
        ),
        (
            "RUN exit 137\n",
            "build failed at step `RUN exit 137` (exit code 137): it was killed, mostly for want of memory.",
            "memory",
        ),
        (
            "COPY gone /\n",
            "build failed at step `COPY gone /`: gone does not exist in {root}.",
            "build context",
        ),
        (
            "COPY hidden/a /\n",
            "build failed at step `COPY hidden/a /`: hidden/a is ignored by {root}/.dockerignore.",
            "!hidden/a",
        ),
        (
            'COPY --link ["hidden", "/x"]\n',
            "build failed at step `COPY --link [hidden, /x]`: hidden is ignored by {root}/.dockerignore.",
            "!hidden",
        ),
        ("RUNN x\n", "Dockerfile, line 2: unknown instruction: RUNN (did you mean RUN?).", "Correct"),
        (
            "RUN echo 'write: No space left on device' >&2; exit 1\n",
            "(exit code 1): the disk of the Docker engine is full.",
            "docker system df",
        ),
        (
            "RUN echo 'SSL: CERTIFICATE_VERIFY_FAILED'; exit 1\n",
            "(exit code 1): a certificate is not trusted inside the build (CERTIFICATE_VERIFY_FAILED).",
            "CA_BUNDLE",
        ),
    ],
    ids=["run", "killed", "missing", "ignored", "ignored folder", "syntax", "space", "certificate"],
)
def test_failure_names_step_cause_and_way_out(
    tmp_path: Path, image: str, lines: str, message: str, hint: str
) -> None:
    build = write(tmp_path, {"Dockerfile": BASE + lines, ".dockerignore": "hidden\n", "hidden/a": ""})
    error = failure(image, build)
    assert isinstance(error, BuildFailed)
    assert error.message.startswith(f"{image}: ")
    assert error.message.endswith(message.format(root=tmp_path))
    assert hint in (error.hint or "")
    assert error.evidence


@pytest.mark.engine
def test_failure_shows_the_last_lines_of_the_failing_step(tmp_path: Path, image: str) -> None:
    run = "RUN for i in $(seq 50); do echo line $i; done; exit 1\n"
    build = write(tmp_path, {"Dockerfile": f"{BASE}RUN echo other\n{run}"})
    assert failure(image, build).evidence == tuple(f"line {number}" for number in range(31, 51))


@pytest.mark.engine
def test_cancelled_neighbour_is_not_the_cause(tmp_path: Path, image: str) -> None:
    text = (
        f"{BASE[:-1]} AS slow\nRUN sleep 30; exit 1\n{BASE}RUN sleep 0.5; exit 2\nCOPY --from=slow /etc /x\n"
    )
    error = failure(image, write(tmp_path, {"Dockerfile": text}))
    assert error.message == f"{image}: build failed at step `RUN sleep 0.5; exit 2` (exit code 2)."


@pytest.mark.engine
def test_unreachable_registry_names_the_base_image(tmp_path: Path, image: str) -> None:
    error = failure(image, write(tmp_path, {"Dockerfile": "FROM localhost:1/team/base:3\n"}))
    assert f"{image}: no base image localhost:1/team/base:3: it is not on this machine and" in error.message
    assert "docker pull localhost:1/team/base:3" in (error.hint or "")


@pytest.mark.engine
def test_unknown_target_is_named(tmp_path: Path, image: str) -> None:
    error = failure(image, replace(write(tmp_path, {"Dockerfile": BASE}), target="prod"))
    assert error.message == f'{image}: Dockerfile has no stage "prod".'


def test_missing_secret_file_is_named(tmp_path: Path) -> None:
    build = replace(
        write(tmp_path, {"Dockerfile": BASE}), secrets=(BuildSecret("key", file=f"{tmp_path}/gone"),)
    )
    error = failure("x", build)
    assert isinstance(error, ProjectError)
    assert error.message == f"The file of the build secret key does not exist: {tmp_path}/gone."


def test_missing_secret_variable_is_named(tmp_path: Path) -> None:
    build = replace(
        write(tmp_path, {"Dockerfile": BASE}), secrets=(BuildSecret("key", environment="SCAFFOLD_NOT_SET"),)
    )
    error = failure("x", build)
    assert isinstance(error, ProjectError)
    assert "SCAFFOLD_NOT_SET" in error.message


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a shell script in buildx's place."""

    def install(script: str) -> None:
        binary = tmp_path / "config/cli-plugins/docker-buildx"
        binary.parent.mkdir(parents=True)
        binary.write_text(f"#!/bin/sh\n{script}")
        binary.chmod(0o755)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
        plugins.command.cache_clear()

    yield install
    plugins.command.cache_clear()


def test_old_buildx_is_named_with_its_version(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in(
        '[ "$1" = version ] && { echo github.com/docker/buildx v0.12.1 30feaa1; exit; }\n'
        "echo 'ERROR: invalid progress mode rawjson' >&2; exit 1\n"
    )
    error = failure("x", write(tmp_path / "context", {"Dockerfile": BASE}))
    assert isinstance(error, EngineError)
    assert error.message == "buildx v0.12.1 is too old: scaffold needs 0.13 or newer."
    assert "docker-buildx-plugin" in (error.hint or "")


def test_records_of_newer_buildx_are_one_a_line(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    stand_in(
        """cat >&2 <<'E'
WARNING: no matter
{"vertexes":[{"digest":"d","name":"[1/1] RUN x","started":"2026-01-01T00:00:00.5Z"}]}
{"logs":[{"vertex":"d","stream":1,"data":"YQpi","timestamp":"2026-01-01T00:00:01Z"}]}
{"warnings":[{"vertex":"d","level":1,"short":"aGVlZA=="}]}
{"vertexes":[{"digest":"d","name":"[1/1] RUN x",\
"started":"2026-01-01T00:00:00.5Z","completed":"2026-01-01T00:00:02.123456789Z"}]}
E
"""
    )
    assert make("x", write(tmp_path / "context", {"Dockerfile": BASE})) == [
        images.StepStarted("d", "[1/1] RUN x"),
        images.StepOutput("d", "a"),
        images.BuildWarning("heed"),
        images.StepOutput("d", "b"),
    ]


def test_engine_that_went_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert isinstance(failure("x", write(tmp_path, {"Dockerfile": BASE})), EngineUnavailable)


# --- interrupted


@pytest.mark.engine
def test_interrupt_ends_the_build_and_leaves_no_image(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    text = f"{BASE}RUN echo begun {secrets.token_hex(4)}; sleep 60\n"
    build = context.read(write(tmp_path, {"Dockerfile": text}))
    processes: list[subprocess.Popen[bytes]] = []

    def press(event: images.BuildEvent) -> None:
        if isinstance(event, images.StepOutput):
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        images.build(image, build, press, process_hook=processes.append)
    assert time.monotonic() - begun < 20
    assert processes[0].poll() is not None
    with pytest.raises(ImageNotFound):
        engine.images.get(image)
    assert not context.manifest(build.digest)


@pytest.mark.engine
def test_build_ended_before_it_says_anything_counts_as_cancelled(tmp_path: Path, image: str) -> None:
    build = context.read(write(tmp_path, {"Dockerfile": BASE}))
    with pytest.raises(Interrupted):
        images.build(image, build, lambda _: None, process_hook=subprocess.Popen.terminate)


@pytest.mark.engine
def test_build_ended_from_outside_counts_as_cancelled(tmp_path: Path, image: str) -> None:
    text = f"{BASE}RUN echo begun {secrets.token_hex(4)}; sleep 60\n"
    build = context.read(write(tmp_path, {"Dockerfile": text}))
    processes: list[subprocess.Popen[bytes]] = []

    def press(event: images.BuildEvent) -> None:
        if isinstance(event, images.StepOutput):
            processes[0].send_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        images.build(image, build, press, process_hook=processes.append)
