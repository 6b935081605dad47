"""What happens to the checkouts of one project on one engine, and what has to be true at the end."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.oracle.checkout import Checkout
from tests.projects import SCAFFOLD, Done, surroundings

COMPOSE = ("docker", "compose")
MOST = 3
"""Checkouts at a time: each has a server that wants memory."""
LONGEST = 2.5
"""Seconds within which a kill of scaffold comes; a run takes about as long."""
TRIES = 5
"""How often a command is repeated, each time as the last error said, until a checkout is up again."""
NAME = "COMPOSE_PROJECT_NAME"


@dataclass
class World:
    """The checkouts, who writes into them, and what was done so far."""

    base: Path
    name: str
    version: str
    chance: random.Random
    port: int
    shared: bool = False
    """Whether compose.yaml gives the volume a name of its own, which is the same in every clone."""
    checkouts: list[Checkout] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    rows: int = 0
    """Rows that were acknowledged in checkouts that are gone by now, because a person named them."""
    _made: int = 0
    _writers: dict[str, ExitStack] = field(default_factory=dict)

    def add(self, folder: Path, env_file: Path | None = None) -> Checkout:
        """Make a clone in a folder, and somebody who writes into it as soon as that is possible."""
        made = Checkout(f"c{self._made}", folder, has_copied_env=env_file is not None)
        self._made += 1
        volume = f"{{name: {self.name}-shared}}" if self.shared else "{}"
        made.write(self.version, self.port, volume)
        if env_file:
            shutil.copy(env_file, made.project.env_file)
        self._adopt(made)
        return made

    def _adopt(self, made: Checkout) -> None:
        self.checkouts.append(made)
        writer = self._writers[made.title] = ExitStack()
        writer.enter_context(made.written())

    def end(self) -> None:
        """Let everybody stop writing."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _note(self, checkout: Checkout, what: str, done: Done | None = None) -> None:
        code = f" → {done.code}" if done else ""
        self.done.append(f"{checkout.title} {what}{code}")

    # What a person types

    def typed(self, checkout: Checkout, *arguments: str) -> Done:
        done = checkout.scaffold(*arguments)
        self._note(checkout, f"scaffold {' '.join(arguments)}", done)
        return done

    def settle(self, checkout: Checkout) -> None:
        """Run, and do what the errors say, until the checkout is up.

        One that has no row yet may be refused the volume that holds those of another checkout.
        """
        done = self.typed(checkout, "run")
        for _ in range(TRIES):
            if done.code == 0 or self._is_turned_away(checkout, done):
                return
            if f"Remove {checkout.project.env_file}" in done.err:
                checkout.project.env_file.unlink()
                checkout.has_copied_env = False
                self._note(checkout, "rm .env, as it said")
            elif self._is_done_as_said(checkout, done.err):
                pass
            elif "--set-password" in done.err:
                self.typed(checkout, "db", "--set-password")
            done = self.typed(checkout, "run")
        raise AssertionError(f"{checkout.title} does not come up again: {done.err}")

    def _is_done_as_said(self, checkout: Checkout, said: str) -> bool:
        """Do to .env what an error says, as somebody who reads it would; return whether it said anything."""
        file = checkout.project.env_file
        if typed := re.search(rf"`(echo {NAME}=\S+ >[^`]+)`", said):
            self.docker(checkout, "sh", "-c", typed[1])
        elif named := re.search(rf"Put ({NAME}=\S+) into {re.escape(str(file))}", said):
            lines = [line for line in file.read_text().splitlines() if not line.startswith(NAME)]
            file.write_text("\n".join([named[1], *lines, ""]))
            self._note(checkout, f"{named[1]} in .env, as it said")
        elif lost := re.search(r"Put it back: `(\w+)=…` in ", said):
            with file.open("a") as env_file:
                env_file.write(f"{lost[1]}=new{self.chance.randrange(10**9)}\n")
            self._note(checkout, f"a new {lost[1]} in .env, as it said")
        elif other := re.search(rf"is that project, put ({NAME}=\S+) into {re.escape(str(file))}", said):
            file.write_text(f"{other[1]}\n")
            self._note(checkout, f"{other[1]} in .env, as it said")
        elif "scaffold env --renew" in said:
            self.typed(checkout, "env", "--renew")
        else:
            return False
        return True

    def _is_turned_away(self, checkout: Checkout, done: Done) -> bool:
        return self.shared and not checkout.acknowledged and f"{self.name}-shared" in done.err

    def killed(self, checkout: Checkout) -> None:
        """Kill scaffold in the middle."""
        command = self.chance.choice((("run",), ("run", "--recreate"), ("down",), ("stop",)))
        moment = self.chance.uniform(0.1, LONGEST)
        process = subprocess.Popen(
            (SCAFFOLD, *command),
            cwd=checkout.folder,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        process.wait()
        self._note(checkout, f"SIGKILL of scaffold {' '.join(command)} after {moment:.2f} s")

    def edit(self, checkout: Checkout) -> None:
        """Change a value that the app reads, and run."""
        file = checkout.project.env_file
        if file.exists():
            lines = [line for line in file.read_text().splitlines() if not line.startswith("LEVEL=")]
            file.write_text("\n".join([*lines, f"LEVEL={self.chance.randrange(1000)}", ""]))
        self.typed(checkout, "run")

    # What others do beside it

    def docker(self, checkout: Checkout, *arguments: str) -> None:
        done = subprocess.run(
            arguments,
            cwd=checkout.folder,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.done.append(f"{checkout.title} {' '.join(arguments)} → {done.returncode}")

    def database(self, checkout: Checkout) -> str | None:
        """Return the name of the checkout's database container, None while .env does not say its own name."""
        variables = checkout.project.variables if checkout.project.env_file.exists() else {}
        return f"{variables[NAME]}-db-1" if self._is_own(checkout) else None

    def _is_own(self, checkout: Checkout) -> bool:
        """Return whether no other checkout has the name in .env, or the volume."""
        if not checkout.project.env_file.exists() or (self.shared and len(self.checkouts) > 1):
            return False
        name = checkout.project.variables.get(NAME)
        others = [item for item in self.checkouts if item is not checkout and item.project.env_file.exists()]
        return bool(name) and all(item.project.variables.get(NAME) != name for item in others)

    def colleague(self, checkout: Checkout) -> None:
        """Let somebody without scaffold work on the same checkout."""
        if not self._is_own(checkout):
            return  # plain Compose asks nobody whose containers these are
        words = self.chance.choice(
            (("up", "-d"), ("down",), ("stop",), ("restart", "db"), ("up", "-d", "--force-recreate"))
        )
        self.docker(checkout, *COMPOSE, *words)

    def together(self, checkout: Checkout) -> None:
        """Let a colleague and scaffold work at the same moment."""
        if not self._is_own(checkout):
            return
        process = checkout.project.start("run")
        self.docker(checkout, *COMPOSE, "up", "-d")
        out, err = process.communicate(timeout=240)
        checkout.project.check_output(out + err)
        self._note(checkout, f"scaffold run beside it → {process.returncode}")

    def accident(self, checkout: Checkout) -> None:
        container = self.database(checkout)
        if container is None:
            return
        words = self.chance.choice((("kill",), ("rm", "-f"), ("stop", "-t", "1"), ("pause",), ("restart",)))
        self.docker(checkout, "docker", *words, container)

    # What happens to folders

    def move(self, checkout: Checkout) -> None:
        """Move the folder; sometimes a new clone comes to where it was.

        The first run afterwards is in the moved one: before it, nothing tells a moved folder from a copy.
        """
        before = checkout.folder
        checkout.folder = before.rename(before.with_name(f"{self.name}{self.chance.randrange(10**6)}"))
        self._note(checkout, f"mv {before.name} {checkout.folder.name}")
        clones = len(self.checkouts) < MOST and self.chance.random() < 0.7
        if not checkout.has_copied_env and (clones or self.chance.random() < 0.5 or self._copies()):
            self.settle(checkout)
        if clones:
            self._note(self.add(before), "cloned to where it was")

    def clone(self, checkout: Checkout) -> None:
        """Clone beside it, or copy it with its .env, as people do."""
        if len(self.checkouts) >= MOST:
            return
        parent = self.base / f"side{self._made}"
        env_file = checkout.project.env_file
        copied = env_file.exists() and not checkout.has_copied_env and self.chance.random() < 0.5
        if copied:
            self.settle(checkout)
        made = self.add(parent / checkout.folder.name, env_file if copied else None)
        self._note(made, f"copied from {checkout.title}{', .env too' if copied else ''}")

    def _copies(self) -> bool:
        return any(item.has_copied_env for item in self.checkouts)

    def forget(self, checkout: Checkout) -> None:
        """Delete .env, or only the name in it."""
        file = checkout.project.env_file
        if not file.exists():
            return
        if self.chance.random() < 0.5:
            file.unlink()
            checkout.has_copied_env = False
            self._note(checkout, "rm .env")
            return
        text = file.read_text()
        file.write_text("".join(line for line in text.splitlines(True) if not line.startswith(NAME)))
        done = self.typed(checkout, *self.chance.choice((("run",), ("down",), ("stop",))))
        self._note(checkout, "had no name in .env", done)
        file.write_text(text)

    def destroy(self, checkout: Checkout) -> None:
        """Destroy one of several; whatever its .env says, the rows of the others must not go."""
        others = [item for item in self.checkouts if item is not checkout]
        if not others or not checkout.project.env_file.exists():
            return
        name = checkout.project.variables.get(NAME, "")
        self._writers.pop(checkout.title).close()
        done = self.typed(checkout, "destroy", "--yes-delete-data", name)
        if done.code != 0:
            # Refused: nothing is gone, and its rows are still looked for.
            self.checkouts.remove(checkout)
            self._adopt(checkout)
            return
        self.rows += len(checkout.acknowledged)
        self.checkouts.remove(checkout)
        shutil.rmtree(checkout.folder)

    # The oracle

    def act(self) -> None:
        """Do one thing, chosen by chance."""
        checkout = self.chance.choice(self.checkouts)
        actions: tuple[tuple[int, Callable[[Checkout], object]], ...] = (
            (4, self.settle),
            (3, self.killed),
            (3, self.colleague),
            (3, self.accident),
            (2, self.edit),
            (2, lambda item: self.typed(item, "run", "--recreate")),
            (2, lambda item: self.typed(item, "down")),
            (1, lambda item: self.typed(item, "stop")),
            (1, lambda item: self.typed(item, "restart")),
            (1, lambda item: self.typed(item, "kill", "db")),
            (2, self.move),
            (2, self.clone),
            (1, self.forget),
            (1, self.together),
            (2, self.destroy),
        )
        weights = [weight for weight, _ in actions]
        _, action = self.chance.choices(actions, weights)[0]
        action(checkout)

    def check(self) -> None:
        """Bring every checkout up, and claim that it has all of its rows and nobody else's."""
        # The one that others were copied from says whose the name is.
        for checkout in self.checkouts:
            self.settle(checkout)
        self.end()
        for checkout in self.checkouts:
            if self.shared and not checkout.acknowledged:
                continue
            there = checkout.rows()
            lost = checkout.acknowledged - there
            assert not lost, f"{len(lost)} of {len(checkout.acknowledged)} rows of {checkout.title} are lost"
            foreign = {mark for mark in there if not mark.startswith(f"{checkout.title}-")}
            assert not foreign, f"{checkout.title} has {len(foreign)} rows of others, such as {foreign.pop()}"

    @property
    def acknowledged(self) -> int:
        return self.rows + sum(len(checkout.acknowledged) for checkout in self.checkouts)


@contextmanager
def world(base: Path, name: str, version: str, seed: int, *, shared: bool) -> Iterator[World]:
    """Yield a world with one checkout that is up; nobody writes any more at the end."""
    chance = random.Random(seed)
    made = World(base, name, version, chance, port=20000 + chance.randrange(8000), shared=shared)
    try:
        made.settle(made.add(base / "first" / name))
        yield made
    finally:
        made.end()
