#!/usr/bin/env python3
"""Entrypoint of the local stand-in for the `mongo` image (server: SecantusDB, pinned).

Follows the official image's contract as far as SecantusDB allows:
  * `mongod [flags]` (or only flags, or nothing) starts the server; any other command is exec'ed
  * MONGO_INITDB_ROOT_USERNAME / _PASSWORD (and *_FILE): root user in `admin`, auth enforced
  * MONGO_INITDB_DATABASE and /docker-entrypoint-initdb.d/*.sh|*.js on a fresh data directory
  * data in /data/db (--dbpath), SIGTERM/SIGINT: checkpoint and exit 0
"""
import glob
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone

import bson
from secantus import commands as sc_commands
from secantus import server as sc_server
from secantus import storage as sc_storage

# ---------------------------------------------------------------- fixes for SecantusDB 0.7.0b3
_RANGE = {"$gt", "$gte", "$lt", "$lte"}


def _has_regex(v):
    if isinstance(v, (re.Pattern, bson.Regex)):
        return True
    if isinstance(v, dict):
        return any(_has_regex(x) for x in v.values())
    return isinstance(v, list) and any(_has_regex(x) for x in v)


def _index_safe(flt, multikey, descending):
    """The filter to choose index candidates by: a superset of the real one.

    SecantusDB looks a regex literal up in an index as if it were a value, intersects both bounds
    of a range on a multikey index, and loses rows of a string range on a descending index. It
    re-checks every candidate against the real filter, so dropping such clauses here only costs speed.
    """
    out = {}
    for k, v in flt.items():
        if _has_regex(v):
            continue
        if isinstance(v, dict) and v and set(v) <= _RANGE:
            if descending and any(isinstance(x, str) for x in v.values()):
                continue
            if multikey:
                v = dict([next(iter(v.items()))])
        out[k] = v
    return out


_lookup = sc_storage.Storage._try_index_id_keys


def _safe_lookup(self, db, coll, filter, *, collation=None):
    if filter:
        multikey = any(o.get("multikey") for o in self._index_options_map(db, coll).values())
        descending = any(-1 in spec.values() for _, spec, _, _ in self._all_indexes(db, coll))
        filter = _index_safe(filter, multikey, descending)
    return _lookup(self, db, coll, filter, collation=collation) if filter else None


sc_storage.Storage._try_index_id_keys = _safe_lookup

_wt_open = sc_storage.wt.wiredtiger_open


def _write_through(home, config):
    """Hand each commit's log record to the kernel before the reply (no fsync).

    As shipped, WiredTiger keeps the last records in its own buffer and SIGKILL loses them.
    """
    new = config.replace("transaction_sync=(enabled=false,method=fsync)", "transaction_sync=(enabled=true,method=none)")
    if new == config:
        raise RuntimeError(f"SecantusDB's WiredTiger configuration changed, check this patch: {config}")
    return _wt_open(home, new)


if os.environ.get("MONGO_STANDIN_WRITE_THROUGH", "1") == "1":
    sc_storage.wt.wiredtiger_open = _write_through

_dispatch = sc_server.dispatch


def _strict_dispatch(body, ctx):
    """Like a real standalone mongod, refuse multi-document transactions (SecantusDB runs them)."""
    if not ctx.replica_set_name and body.get("startTransaction") and body.get("autocommit") is False:
        return {"ok": 0.0, "code": 20, "codeName": "IllegalOperation",
                "errmsg": "Transaction numbers are only allowed on a replica set member or mongos"}
    return _dispatch(body, ctx)


if os.environ.get("MONGO_STANDIN_LENIENT_TRANSACTIONS") != "1":
    sc_server.dispatch = _strict_dispatch

_advertise = {"host": None, "file": None}  # (host, port) that a replica set's `hello` names; kept in file


class Server(sc_server.SecantusDBServer):
    def stop(self):
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept(); else stop() waits 2 s for it
            except OSError:
                pass
        super().stop()

    @property
    def address(self):
        host, port = super().address
        if not self.replica_set_name:
            return host, port
        return _advertise["host"] or (socket.gethostname(), port)


def _repl_config(ctx):
    return {"_id": ctx.replica_set_name, "version": 1, "term": 1, "protocolVersion": 1,
            "members": [{"_id": 0, "host": "%s:%d" % tuple(ctx.server_address), "priority": 1, "votes": 1}]}


def _repl_initiate(doc, ctx):
    """The set is initiated from the start: take over the member's name, if one is given."""
    if not ctx.replica_set_name:
        return {"ok": 0.0, "code": 76, "codeName": "NoReplicationEnabled",
                "errmsg": "This node was not started with replication enabled."}
    arg = doc.get("replSetInitiate")
    if not isinstance(arg, dict):
        arg = doc.get("replSetReconfig")
    members = arg.get("members") if isinstance(arg, dict) else None
    if members:
        host, _, port = str(members[0].get("host", "")).rpartition(":")
        if host and port.isdigit():
            _advertise["host"] = (host, int(port))
            with open(_advertise["file"], "w") as f:
                f.write(f"{host}:{port}")
    return {"ok": 1.0}


sc_commands._HANDLERS["replSetInitiate"] = sc_commands._HANDLERS["replSetReconfig"] = _repl_initiate
sc_commands._HANDLERS["replSetGetConfig"] = lambda d, ctx: {"config": _repl_config(ctx), "ok": 1.0}
sc_commands._HANDLERS["logout"] = lambda d, ctx: {"ok": 1.0}


# ---------------------------------------------------------------- the image's contract
def log(component, msg, **attr):
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    print(json.dumps({"t": {"$date": now}, "s": "I", "c": component, "ctx": "main",
                      "msg": msg, "attr": attr}), flush=True)


def env(name):
    path = os.environ.get(name + "_FILE")
    if path and os.environ.get(name):
        sys.exit(f"error: both {name} and {name}_FILE are set (but are exclusive)")
    if path:
        with open(path) as f:
            return f.read().rstrip("\n")
    return os.environ.get(name) or None


def parse(argv):
    opt = {"port": 27017, "dbpath": "/data/db", "auth": False, "replSet": None, "cache": "256M", "bind": "0.0.0.0"}
    it = iter(argv)
    for a in it:
        name, eq, val = a.lstrip("-").partition("=")
        arg = (lambda: val if eq else next(it, ""))
        if name == "port": opt["port"] = int(arg())
        elif name == "dbpath": opt["dbpath"] = arg()
        elif name == "replSet": opt["replSet"] = arg()
        elif name == "auth": opt["auth"] = True
        elif name == "keyFile": arg(); opt["auth"] = True
        elif name == "wiredTigerCacheSizeGB": opt["cache"] = "%dM" % max(64, int(float(arg()) * 1024))
        elif name == "bind_ip": opt["bind"] = "127.0.0.1" if arg() in ("localhost", "127.0.0.1") else "0.0.0.0"
        elif name in ("bind_ip_all", "ipv6", "noauth", "quiet", "directoryperdb", "v", "verbose"): pass
        elif name in ("config", "f", "oplogSize", "logpath", "setParameter", "storageEngine"):
            log("CONTROL", "stand-in ignores option", option=name, value=arg())
        else: log("CONTROL", "stand-in ignores option", option=a)
    return opt


def init_db(opt, user, pwd, scripts):
    """First start on an empty data directory: loopback only, no auth, as the official image does."""
    srv = Server(host="127.0.0.1", port=opt["port"], storage_path=opt["dbpath"], replica_set_name=None,
                 cache_size=opt["cache"], enable_test_commands=False)
    srv.start()
    try:
        from pymongo import MongoClient
        database = os.environ.get("MONGO_INITDB_DATABASE") or "test"
        if user:
            with MongoClient("127.0.0.1", opt["port"], directConnection=True) as c:
                c.admin.command("createUser", user, pwd=pwd, roles=[{"role": "root", "db": "admin"}],
                                mechanisms=["SCRAM-SHA-1", "SCRAM-SHA-256"])
        for f in scripts:
            log("INITDB", "running", file=f)
            if f.endswith(".js"):
                login = ["-u", user, "-p", pwd, "--authenticationDatabase", "admin"] if user else []
                cmd = ["mongosh", "--quiet", "--host", "127.0.0.1", "--port", str(opt["port"]), *login, database, f]
            else:
                cmd = [f] if os.access(f, os.X_OK) else ["bash", f]
            subprocess.run(cmd, check=True)
    finally:
        srv.stop()


def main():
    argv = sys.argv[1:]
    if argv and argv[0] != "mongod" and not argv[0].startswith("-"):
        os.execvp(argv[0], argv)
    if argv and argv[0] == "mongod":
        argv = argv[1:]
    if argv == ["--version"]:
        print("db version v8.2.11 (stand-in: SecantusDB)"); return
    opt = parse(argv)
    if os.getuid() == 0:  # started as root: take over the data directory, then go on as mongodb
        for directory in (opt["dbpath"], "/data/configdb"):
            os.makedirs(directory, exist_ok=True)
            subprocess.run(["find", directory, "!", "-user", "mongodb", "-exec", "chown", "mongodb", "{}", "+"], check=True)
        os.execvp("setpriv", ["setpriv", "--reuid=mongodb", "--regid=mongodb", "--init-groups", sys.executable, *sys.orig_argv[1:]])
    logging.basicConfig(level=os.environ.get("MONGO_STANDIN_LOG_LEVEL", "WARNING"),
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    user, pwd = env("MONGO_INITDB_ROOT_USERNAME"), env("MONGO_INITDB_ROOT_PASSWORD")
    if bool(user) != bool(pwd):
        sys.exit("error: missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD'\n"
                 "       both must be specified for a user to be created")
    stop = threading.Event()
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(s, lambda *_: stop.set())
    os.makedirs(opt["dbpath"], exist_ok=True)
    # `.initdb` marks a first start that did not finish: do it again from an empty directory.
    marker = os.path.join(opt["dbpath"], ".initdb")
    fresh = not os.path.exists(os.path.join(opt["dbpath"], "WiredTiger"))
    if os.path.exists(marker):
        for f in os.listdir(opt["dbpath"]):
            if f.startswith(("WiredTiger", "secantus", ".initdb")) or f.endswith((".wt", ".lock")):
                os.unlink(os.path.join(opt["dbpath"], f))
        fresh = True
    initdir = os.environ.get("MONGO_STANDIN_INITDB_DIR", "/docker-entrypoint-initdb.d")
    scripts = sorted(f for f in glob.glob(initdir + "/*") if f.endswith((".js", ".sh")))
    if fresh and (user or scripts):
        open(marker, "w").close()
        init_db(opt, user, pwd, scripts)
        os.unlink(marker)
    _advertise["file"] = os.path.join(opt["dbpath"], ".replset-member")
    if os.path.exists(_advertise["file"]):
        with open(_advertise["file"]) as f:
            host, _, port = f.read().strip().rpartition(":")
        _advertise["host"] = (host, int(port))
    srv = Server(host=opt["bind"], port=opt["port"], storage_path=opt["dbpath"],
                 require_auth=bool(user) or opt["auth"], replica_set_name=opt["replSet"],
                 cache_size=opt["cache"], enable_test_commands=False, client_idle_timeout_s=7 * 86400.0)
    srv.start()
    log("NETWORK", "Waiting for connections", port=opt["port"], ssl="off")
    stop.wait()
    log("CONTROL", "Received signal, shutting down")
    t = time.monotonic()
    srv.stop()
    log("CONTROL", "mongod stand-in stopped", seconds=round(time.monotonic() - t, 2))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
