"""What a container mounts, and the files that are copied into it, in the engine's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scaffold.errors import ProjectError
from scaffold.stack.reader import Reader
from scaffold.stack.requests.fields import Context, dense
from scaffold.stack.secrets import Secret


@dataclass(frozen=True)
class InlineFile:
    """A secret or config whose content is in compose.yaml or a variable: copied in before the start."""

    path: str
    content: Secret
    mode: int = 0o444
    uid: int = 0
    gid: int = 0
    variable: str = ""
    """Where the content comes from, when not from compose.yaml."""

    @property
    def identity(self) -> dict[str, object]:
        """Return what it is compared by."""
        return {**vars(self), "content": self.content.reveal()}


def mounts_of(
    reader: Reader, context: Context
) -> tuple[list[str], list[dict[str, object]], list[str], tuple[InlineFile, ...]]:
    """Return binds (old syntax, as Compose uses it), mounts, named volumes and inline files."""
    binds: dict[str, str] = {}
    mounts: dict[str, dict[str, object]] = {}
    named: list[str] = []
    for item in reader.items("volumes"):
        target = item.text("target")
        kind = item.text("type")
        source = item.text("source", "")
        if kind == "volume" and source in context.volumes:
            source = context.volumes[source]
            named.append(source)
        bind, volume = item.reader("bind"), item.reader("volume")
        plain_bind = (
            kind == "bind"
            and not bind.has("propagation")
            and not bind.has("recursive")
            # Compose prints it wherever it holds.
            and bind.flag("create_host_path")
        )
        plain_volume = (
            kind == "volume" and source and not any(map(volume.has, ("nocopy", "subpath", "labels")))
        )
        labelled = kind == "bind" and bind.has("selinux")
        # The older notation has no way to write the one, and the newer one no way to write the other.
        written_apart = ":" in source or ":" in target
        if labelled and (written_apart or not plain_bind):
            raise ProjectError(
                f"{bind.path}.selinux: the engine takes it neither together with a `:` in a path nor with "
                "`propagation`, `recursive`, or `create_host_path: false`.",
                "Remove one of the two.",
            )
        if (plain_bind or plain_volume) and not written_apart:
            options = ["ro" if item.flag("read_only") else "rw"]
            options += [bind.text("selinux")] if labelled else []
            binds[target] = f"{source}:{target}:{','.join(options)}"
            continue
        mounts[target] = _mount(item, kind, source)
    files: list[InlineFile] = []
    for key, base in (("secrets", "/run/secrets/"), ("configs", "/")):
        for item in reader.items(key):
            source = item.text("source")
            mount, file = _file(item, base, context.definition(key, source, item.path), context.variables)
            target = file.path if file else str(mount["Target"]) if mount else ""
            if target in binds or target in mounts:
                continue
            if file:
                files.append(file)
            elif mount:
                mounts[target] = mount
    if files and reader.flag("read_only"):
        raise ProjectError(
            f"{reader.path}: inline secrets and configs cannot be copied into a read-only container.",
            "Use `file:`, or drop `read_only`.",
        )
    return (
        [binds[target] for target in sorted(binds)],
        [mounts[target] for target in sorted(mounts)],
        named,
        tuple(files),
    )


def _mount(item: Reader, kind: str, source: str) -> dict[str, object]:
    bind, volume, tmpfs, image = (item.reader(key) for key in ("bind", "volume", "tmpfs", "image"))
    recursive = bind.text("recursive", "")
    return dense(
        {
            "Type": kind,
            "Source": source,
            "Target": item.text("target"),
            "ReadOnly": item.flag("read_only"),
            "Consistency": item.text("consistency", ""),
            "BindOptions": dense(
                {
                    "Propagation": bind.text("propagation", ""),
                    "CreateMountpoint": kind == "bind" and bind.flag("create_host_path"),
                    "NonRecursive": recursive == "disabled",
                    "ReadOnlyNonRecursive": recursive == "writable",
                    "ReadOnlyForceRecursive": recursive == "readonly",
                }
            ),
            "VolumeOptions": dense(
                {
                    "NoCopy": volume.flag("nocopy"),
                    "Subpath": volume.text("subpath", ""),
                    "Labels": volume.mapping("labels"),
                }
            ),
            "TmpfsOptions": dense({"SizeBytes": tmpfs.size("size"), "Mode": tmpfs.integer("mode", 0)}),
            "ImageOptions": dense({"Subpath": image.text("subpath", "")}),
        }
    )


def _file(
    item: Reader, base: str, definition: Reader, variables: Mapping[str, str]
) -> tuple[dict[str, object] | None, InlineFile | None]:
    source = item.text("source")
    target = item.text("target", "") or source
    target = target if target.startswith("/") else base + target
    if definition.has("file"):
        mount = dense({"Type": "bind", "Source": definition.text("file"), "Target": target, "ReadOnly": True})
        return mount, None
    content = definition.text("content", "")
    variable = definition.text("environment", "")
    if variable:
        if variable not in variables:
            raise ProjectError(f"{definition.path}: variable {variable} is not set.", "Set it in .env.")
        content = variables[variable]
    if not content and not variable:
        return None, None
    mode = item.raw("mode")
    return None, InlineFile(
        path=target,
        content=Secret(content),
        mode=0o444 if mode is None else int(str(mode), 8) if isinstance(mode, str) else item.integer("mode"),
        uid=item.integer("uid", 0),
        gid=item.integer("gid", 0),
        variable=variable,
    )
