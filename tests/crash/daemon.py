"""A Docker engine of the test's own, on a small disk of its own: to be killed, switched off, and filled up.

It adds one firewall rule, for its own addresses, and leaves the rest alone, so that another engine of this
machine notices nothing of it. Its containers reach each other and this machine, not the internet.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker
import psutil
import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException

DISK = 1200
"""Megabytes of its disk, which is memory."""
PATIENCE = 60.0
"""Seconds for it to start or stop."""
ADDRESSES = "10.213.0.0/16"
"""All of its networks; those of projects have to ask for SUBNET."""
SUBNET = "10.213.1.0/24"
BRIDGE_ADDRESS = "10.213.255.1/26"
# Where another engine drops what it does not know.
_RULE = ("FORWARD", "--source", ADDRESSES, "--destination", ADDRESSES, "--jump", "ACCEPT")


class Daemon:
    """One dockerd with its containerd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "sock"
        self.disk = folder / "disk"
        # dockerd deletes docker0, which belongs to the engine of this machine, with `--bridge none`, and with
        # `--default-address-pool` whenever it starts again: so a bridge of its own, and no pool.
        self.bridge = f"crash{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.folder / "pid").unlink(missing_ok=True)
        if not Path("/sys/class/net", self.bridge).exists():
            subprocess.run(["ip", "link", "add", "name", self.bridge, "type", "bridge"], check=True)
            subprocess.run(["ip", "address", "add", BRIDGE_ADDRESS, "dev", self.bridge], check=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--data-root", str(self.disk), "--exec-root", str(self.folder / "run")),
                    *("--pidfile", str(self.folder / "pid"), "--host", self.host),
                    *("--bridge", self.bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false"),
                    *("--log-level", "warn"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            with contextlib.closing(docker.DockerClient(self.host, version="1.44", timeout=5)) as client:
                return bool(client.ping())
        except (DockerException, RequestException):
            return False

    def kill(self) -> None:
        """Kill the engine alone: its containers go on without it until the next one finds them."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def switch_off(self) -> None:
        """Kill the engine and all of its containers at once, as when the machine loses its power."""
        victims = self._processes()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=PATIENCE)
        if self._process is not None:
            self._process.wait()

    def _processes(self) -> list[psutil.Process]:
        """Return dockerd, containerd, the shims, and what runs in the containers, in that order."""
        own = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words and "docker" not in words[0] and "containerd" not in words[0]:
                    continue
                if any(str(self.folder) in word for word in words):
                    own.append(process)
        own.sort(key=lambda item: item.pid)
        for process in tuple(own):
            with contextlib.suppress(psutil.Error):
                own += [child for child in process.children(recursive=True) if child not in own]
        return own

    def stop(self) -> None:
        """End it and everything that it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        self.switch_off()
        # Networks stay behind as bridges, and each keeps its addresses from every other engine.
        for bridge in (self.bridge, *self._bridges()):
            subprocess.run(["ip", "link", "delete", bridge], capture_output=True)

    def _bridges(self) -> set[str]:
        """Return the bridges of its networks, by what it wrote down of them: it may not answer any more."""
        written = self.disk / "network" / "files" / "local-kv.db"
        names = re.findall(rb"br-[0-9a-f]{12}", written.read_bytes()) if written.exists() else []
        return {name.decode() for name in names}

    def load(self, images: Sequence[str]) -> None:
        """Copy images from the engine that the other tests use."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as source:
            subprocess.run(
                ["docker", "--host", self.host, "load"], stdin=source.stdout, check=True, capture_output=True
            )

    @contextlib.contextmanager
    def full(self, left: int) -> Iterator[None]:
        """Leave only so many megabytes on its disk."""
        filler = self.disk / "filler"
        free = shutil.disk_usage(self.disk).free
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - left * 1024 * 1024))
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def daemon(images: Sequence[str]) -> Iterator[Daemon]:
    """Yield an engine that has these images; skip where there cannot be one."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("an engine of the test's own needs root and dockerd")
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir="/tmp"))
    made = Daemon(folder)
    made.disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", str(made.disk)], check=True)
    ruled = subprocess.run(["iptables", "--insert", *_RULE], capture_output=True).returncode == 0
    try:
        made.start()
        made.load(images)
        yield made
    finally:
        made.stop()
        if ruled:
            subprocess.run(["iptables", "--delete", *_RULE], check=True)
        _unmount(folder)
        shutil.rmtree(folder)


def _unmount(folder: Path) -> None:
    """Undo the mounts that a killed engine left, the innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([item for item in mounts if item.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", mount], check=True)
