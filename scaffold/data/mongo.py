"""MongoDB: one login, and the commands to run beside the server."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from scaffold.data import layout as layouts
from scaffold.data.model import (
    Attempt,
    Command,
    Contents,
    Database,
    NotYet,
    OneOff,
    Ready,
    Refused,
    Stage,
    port_of,
)
from scaffold.errors import DataRefused
from scaffold.stack.desired import Service

AUTHENTICATION_FAILED = 18
UNAUTHORIZED = 13
OP_MSG = 2013

# Run by mongosh inside the container, where the variables are.
_AUTHENTICATE = (
    'db.getSiblingDB("admin").auth(process.env.MONGO_INITDB_ROOT_USERNAME, '
    "process.env.MONGO_INITDB_ROOT_PASSWORD || "
    'require("fs").readFileSync(process.env.MONGO_INITDB_ROOT_PASSWORD_FILE, "utf8").trimEnd()); undefined'
)
_CHANGE = """\
const admin = db.getSiblingDB("admin")
if (admin.getUser(user)) admin.changeUserPassword(user, password)
else admin.createUser({user: user, pwd: password, roles: ["root"]})
"""


@dataclass(frozen=True)
class Mongo:
    """The official image, and those built on it. Bitnami's is called mongodb, and differs."""

    name = "mongo"
    title = "MongoDB"
    images = frozenset({"mongo"})
    server = "mongod"
    layout = layouts.MONGO

    def configured(self, service: Service, command: Sequence[str], version: str) -> Database:
        user = service.env("MONGO_INITDB_ROOT_USERNAME") or None
        return Database(
            kind=self,
            service=service.name,
            port=port_of(command, 27017),
            user=user,
            password=service.env("MONGO_INITDB_ROOT_PASSWORD") or None if user else None,
            name=service.env("MONGO_INITDB_DATABASE") or "test",
            version=version,
        )

    telling = ()

    def directory(self, environment: Mapping[str, str]) -> str:  # noqa: ARG002 - a variable does not move it
        return "/data/db"

    def stage(self, contents: Contents, *, scripts: bool) -> tuple[Stage, str]:  # noqa: ARG002
        """Return only what is certain: no file of WiredTiger's tells whether the user was made.

        Nothing has to be set aside for it: `scaffold db --set-password` makes the user in what is there.
        """
        return (Stage.UNDERSTOOD if contents.sizes else Stage.EMPTY), ""

    def mount_path(self, database: Database) -> str:  # noqa: ARG002 - the same in every version
        return "/data/db"

    def url(self, database: Database, login: str, place: str) -> str:
        query = "?authSource=admin" if login else ""
        return f"mongodb://{login}{place}/{quote(database.name, safe='')}{query}"

    def login(self, database: Database, host: str, port: int, timeout: float) -> Attempt:
        """Try once: see that the server answers at all, then log in with the driver.

        The driver alone would be slow while nothing listens: it starts threads and waits half a second
        between its tries. A refusal is final: while the official image initialises an empty volume, it
        listens on the container's loopback address only.
        """
        # Before the first question: loading it takes as long as a server needs to start, and this way beside
        # it.
        from pymongo import MongoClient
        from pymongo.errors import OperationFailure, PyMongoError

        silence = _silence(host, port, timeout)
        if silence:
            return NotYet(silence)
        knows = database.user and database.password
        milliseconds = max(1, int(timeout * 1000))
        client: MongoClient[dict[str, object]] = MongoClient(
            host,
            port,
            username=database.user if knows else None,
            password=database.password if knows else None,
            authSource="admin",
            appname="scaffold",
            directConnection=True,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds,
        )
        try:
            with client:
                return Ready(str(client.server_info()["version"]))
        except OperationFailure as error:
            return _classify(database, error.code, str(error.details or error))
        except PyMongoError as error:
            return NotYet(f"the driver says: {error}")

    def client_command(
        self, database: Database, arguments: Sequence[str], *, terminal: bool
    ) -> tuple[str, ...]:
        """Return mongosh, which logs in with what it finds in the container's environment."""
        address = f"mongodb://127.0.0.1:{database.port}/{database.name}"
        login = ("--eval", _AUTHENTICATE) if database.user else ()
        if not arguments:
            # After an --eval it would end; and a script on standard input gets prompts, and always succeeds.
            arguments = ("--shell",) if terminal else ("--file", "/dev/stdin")
        return ("mongosh", "--quiet", address, *login, *arguments)

    def set_password(self, database: Database, user: str, password: str) -> OneOff:
        """Return a server without authentication on the same volume, and what sets the password in it."""
        shell = ("mongosh", "--quiet", "--norc", f"mongodb://127.0.0.1:{database.port}/admin")
        values = f"const user = {json.dumps(user)}, password = {json.dumps(password)}\n"
        return OneOff(
            command=("mongod", "--bind_ip", "127.0.0.1", "--port", str(database.port)),
            mount_path=self.mount_path(database),
            probe=Command((*shell, "--eval", "db.hello().ok"), ""),
            script=Command((*shell, "--file", "/dev/stdin"), values + _CHANGE),
        )

    def objects(self, database: Database) -> tuple[str, ...] | None:  # noqa: ARG002 - the same for all
        return None


def _silence(host: str, port: int, timeout: float) -> str:
    """Say hello, and return why there was no answer.

    A connection alone proves nothing: Docker's proxy accepts one before the server listens.
    """
    import bson

    hello = bson.encode({"hello": 1, "$db": "admin"})
    message = struct.pack("<iiiiIB", 21 + len(hello), 1, 0, OP_MSG, 0, 0) + hello
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(message)
            return "" if connection.recv(1) else "the server closes the connection"
    except ConnectionRefusedError:
        return "nothing listens yet"
    except TimeoutError:
        return "the server does not answer"
    except OSError:
        return "the server closes the connection"


def _classify(database: Database, code: int | None, said: str) -> Attempt:
    if code not in (AUTHENTICATION_FAILED, UNAUTHORIZED):
        return NotYet(f"{database.title} says: {said}")
    return Refused(
        DataRefused(
            f'{database.service}: the password for user "{database.user}" is not the one in the volume. '
            "MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD count only while the volume is empty; "
            "this one was initialised with others, or its first start was cut short.",
            "Keep the volume, your data is in it. Put the old password back into .env, or give the database "
            "the one that is there now: `scaffold db --set-password`.",
            evidence=(f"{database.title} says: {said}",),
        )
    )
