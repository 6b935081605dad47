"""What an update makes of a project's files: by key where the format is known, by line elsewhere."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from scaffold.generate.merge import lines, objects, structured, threeway, values
from scaffold.generate.merge.objects import Scratch
from scaffold.generate.merge.structured import LineMerge, Texts
from scaffold.generate.merge.threeway import Kind, Labels, Merge, Sides, Style

Files = Mapping[str, str | bytes]
NO_HELP = LineMerge(None, "")
"""A line merge that contributes nothing: the result has to come from elsewhere."""


# ── values ─────────────────────────────────────────────────────────────────────────────────────────────


def test_both_sides_add_keys() -> None:
    merged = values.merge({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "c": 3})
    assert merged == values.Merged({"a": 1, "b": 2, "c": 3}, ())


def test_requirements_are_the_same_item_whatever_their_version() -> None:
    merged = values.merge(["a==1", "b==1"], ["a==1", "b==2"], ["a==3", "b==1", "c==1"])
    assert merged == values.Merged(["a==3", "b==2", "c==1"], ())


def test_value_that_both_changed_stays_and_is_open() -> None:
    merged = values.merge({"image": "db:15"}, {"image": "db:16"}, {"image": "db:17"})
    assert merged.value == {"image": "db:16"}
    assert merged.open == (values.Open(("image",), "db:16", "db:17"),)


def test_value_that_one_side_removed_and_the_other_changed_is_open() -> None:
    merged = values.merge({"a": 1}, {}, {"a": 2})
    assert merged.value == {}
    assert merged.open == (values.Open(("a",), values.ABSENT, 2),)


def test_true_and_one_are_two_values() -> None:
    assert values.merge({"a": 0}, {"a": True}, {"a": 1}).open


def test_list_without_names_for_its_items_is_not_guessed() -> None:
    assert values.merge([["a"]], [["a"], ["b"]], [["a"], ["c"]]).open


def test_list_that_both_sides_reordered_is_not_guessed() -> None:
    assert values.merge(["a", "b", "c"], ["b", "a", "c"], ["a", "c", "b"]).open


# ── texts ──────────────────────────────────────────────────────────────────────────────────────────────


def test_edits_of_neighbouring_lines_are_merged() -> None:
    assert lines.touching("a\nb\n", "A\nb\n", "a\nB\n", "ours") == "A\nB\n"


def test_edits_of_one_line_are_not_merged() -> None:
    assert lines.touching("a\n", "b\n", "c\n", "ours") is None


def test_key_merge_keeps_comments_and_layout() -> None:
    base = '[project]\nname = "x"\ndependencies = [\n  "a>=1",  # why\n  "b>=1",\n]\n'
    ours = base.replace('  "b>=1",\n', '  "b>=1",\n  "team>=1",  # ours\n')
    theirs = base.replace('  "b>=1",\n', '  "b>=2",\n  "new>=1",\n')
    found = structured.resolve("pyproject.toml", Texts(base, ours, theirs), NO_HELP)
    assert found is not None
    assert found.open == ()
    for line in ('"a>=1",  # why', '"b>=2"', '"team>=1",  # ours', '"new>=1"'):
        assert line in found.text


def test_stale_comment_is_not_left_beside_a_new_value() -> None:
    base = "steps:\n  - uses: actions/checkout@aaa # v4\n  - run: x\n"
    ours = base.replace("run: x", "run: y")
    theirs = base.replace("aaa # v4", "bbb # v5").replace("run: x", "run: z")
    found = structured.resolve("ci.yml", Texts(base, ours, theirs), NO_HELP)
    assert found is None or "bbb # v4" not in found.text


def test_yaml_with_a_key_twice_is_left_to_people() -> None:
    base = "a: 1\n"
    assert structured.resolve("x.yaml", Texts(base, "a: 2\na: 3\n", "a: 4\n"), NO_HELP) is None


def test_json_keeps_its_indentation() -> None:
    base = {"scripts": {"a": "1"}, "dependencies": {"x": "1"}}
    ours = {"scripts": {"a": "1", "t": "2"}, "dependencies": {"x": "1"}}
    theirs = {"scripts": {"a": "1", "n": "3"}, "dependencies": {"x": "2"}}
    texts = Texts(json.dumps(base, indent=4), json.dumps(ours, indent=4), json.dumps(theirs, indent=4))
    found = structured.resolve("package.json", texts, NO_HELP)
    assert found is not None
    assert '\n    "scripts"' in found.text
    assert json.loads(found.text) == {
        "scripts": {"a": "1", "t": "2", "n": "3"},
        "dependencies": {"x": "2"},
    }


def test_markers_are_found_and_headings_are_not() -> None:
    assert lines.marker("a\n<<<<<<< yours\nx\n=======\ny\n>>>>>>> v2\n") == 2
    assert lines.marker("Title\n=======\n") is None


# ── trees ──────────────────────────────────────────────────────────────────────────────────────────────


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


class Bench:
    """Three folders that become the sides of a merge."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        subprocess.run(("git", "init", "-q", str(self.project)), check=True)
        (folder / "scratch").mkdir()
        self.scratch = Scratch(folder / "scratch", self.project)

    def merge(self, base: Files, ours: Files, theirs: Files, style: Style = "inline") -> Merge:
        trees = []
        for name, files in (("base", base), ("ours", ours), ("theirs", theirs)):
            (self.folder / name).mkdir()
            write(self.folder / name, files)
            trees.append(self.scratch.add(self.folder / name, name))
        return threeway.merge(self.scratch, Sides(*trees), Labels("v1", "v2"), style)

    def text(self, merged: Merge, path: str) -> str:
        return self.scratch.contents([merged.tree[path].object])[merged.tree[path].object].decode()


@pytest.fixture(params=["merge-tree", "checkout"])
def bench(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With this machine's git, and on the way for a git before 2.38."""
    if request.param == "checkout":
        monkeypatch.setattr(objects, "MERGE_TREE", (999, 0))
    return Bench(tmp_path)


LONG = "".join(f"line {number}\n" for number in range(30))


def test_file_that_the_template_renamed_keeps_the_teams_edit(bench: Bench) -> None:
    merged = bench.merge({"a.py": LONG}, {"a.py": LONG + "ours\n"}, {"b.py": LONG})
    assert "a.py" not in merged.tree
    assert bench.text(merged, "b.py").endswith("ours\n")
    assert merged.conflicts == ()


def test_new_file_of_the_team_stays_where_it_is(bench: Bench) -> None:
    base = {f"old/{name}": LONG + name for name in "abc"}
    theirs = {f"new/{name}": LONG + name for name in "abc"}
    merged = bench.merge(base, {**base, "old/team": "mine\n"}, theirs)
    assert "old/team" in merged.tree


def test_text_conflict_has_markers_with_names(bench: Bench) -> None:
    merged = bench.merge({"a": "x\n"}, {"a": "ours\n"}, {"a": "theirs\n"})
    assert merged.conflicts == (threeway.Conflict("a", Kind.MARKERS),)
    assert bench.text(merged, "a") == ("<<<<<<< yours\nours\n||||||| v1\nx\n=======\ntheirs\n>>>>>>> v2\n")


def test_text_conflict_as_rej(bench: Bench) -> None:
    merged = bench.merge({"a": "1\nx\n2\n"}, {"a": "1\nours\n2\n"}, {"a": "1\ntheirs\n2\n"}, "rej")
    assert merged.conflicts == (threeway.Conflict("a", Kind.REJECTED),)
    assert bench.text(merged, "a") == "1\nours\n2\n"
    assert bench.text(merged, "a.rej") == "--- a\n+++ a\n@@ -2,1 +2,1 @@\n-x\n+theirs\n"


def test_open_value_keeps_the_file_valid(bench: Bench) -> None:
    def compose(image: str, restart: str) -> str:
        return f"services:\n  db:\n    image: {image}\n    restart: {restart}\n"

    merged = bench.merge(
        {"compose.yaml": compose("postgres:16", "no")},
        {"compose.yaml": compose("postgres:16-alpine", "no")},
        {"compose.yaml": compose("postgres:17", "always")},
    )
    assert bench.text(merged, "compose.yaml") == compose("postgres:16-alpine", "always")
    (conflict,) = merged.conflicts
    assert conflict.kind is Kind.OPEN
    assert [str(place) for place in conflict.open] == ["services.db.image"]


def test_lock_file_that_the_team_left_alone_is_the_new_one(bench: Bench) -> None:
    merged = bench.merge({"uv.lock": "1\n"}, {"uv.lock": "1\n"}, {"uv.lock": "2\n"})
    assert bench.text(merged, "uv.lock") == "2\n"
    assert merged.conflicts == ()


def test_lock_file_that_both_changed_is_kept_and_listed(bench: Bench) -> None:
    merged = bench.merge({"uv.lock": "1\n"}, {"uv.lock": "ours\n"}, {"uv.lock": "2\n"})
    assert bench.text(merged, "uv.lock") == "ours\n"
    assert [conflict.kind for conflict in merged.conflicts] == [Kind.LOCK]


def test_deleted_by_the_team_stays_deleted_with_a_note(bench: Bench) -> None:
    merged = bench.merge({"a": LONG, "b": "b"}, {"b": "b"}, {"a": LONG + "x\n", "b": "b"})
    assert "a" not in merged.tree
    assert merged.conflicts == ()
    assert merged.notes == ("a was deleted in the project and stays so; the template has changed it.",)


def test_deleted_by_the_template_but_edited_is_kept_and_listed(bench: Bench) -> None:
    merged = bench.merge({"a": LONG, "b": "b"}, {"a": LONG + "ours\n", "b": "b"}, {"b": "b"})
    assert bench.text(merged, "a").endswith("ours\n")
    assert [conflict.kind for conflict in merged.conflicts] == [Kind.GONE]


def test_binary_that_both_changed_is_the_projects(bench: Bench) -> None:
    merged = bench.merge({"a": b"\0a"}, {"a": b"\0b"}, {"a": b"\0c"})
    assert [conflict.kind for conflict in merged.conflicts] == [Kind.BINARY]
    assert bench.text(merged, "a") == "\0b"


def test_text_that_is_not_utf8_is_merged_by_line(bench: Bench) -> None:
    body = b"caf\xe9\n" + LONG.encode()
    merged = bench.merge({"a": body}, {"a": body + b"\xe9ours\n"}, {"a": b"new\n" + body})
    assert merged.conflicts == ()
    content = bench.scratch.contents([merged.tree["a"].object])[merged.tree["a"].object]
    assert content == b"new\n" + body + b"\xe9ours\n"


def test_project_with_crlf_keeps_it(bench: Bench) -> None:
    ours = (LONG + "ours\n").replace("\n", "\r\n")
    merged = bench.merge({"a": LONG}, {"a": ours}, {"a": "new\n" + LONG})
    assert merged.conflicts == ()
    assert bench.text(merged, "a") == ("new\n" + LONG + "ours\n").replace("\n", "\r\n")


def test_project_that_keeps_lf_where_the_template_has_crlf(bench: Bench) -> None:
    """`text=auto` has made LF of what the template has written."""
    base, theirs = LONG.replace("\n", "\r\n"), ("new\n" + LONG).replace("\n", "\r\n")
    merged = bench.merge({"a": base}, {"a": LONG + "ours\n"}, {"a": theirs})
    assert merged.conflicts == ()
    assert bench.text(merged, "a") == "new\n" + LONG + "ours\n"


def test_names_with_spaces_and_other_letters(bench: Bench) -> None:
    name = "our docs/Straße \t1.md"
    merged = bench.merge({name: LONG}, {name: LONG + "ours\n"}, {name: "new\n" + LONG})
    assert bench.text(merged, name) == "new\n" + LONG + "ours\n"


def test_file_turned_folder(bench: Bench) -> None:
    merged = bench.merge({"a": LONG, "z": "z"}, {"a": LONG, "z": "ours"}, {"a/b": LONG, "z": "z"})
    assert sorted(merged.tree) == ["a/b", "z"]


def test_edited_file_where_the_template_has_a_folder_loses_nothing(bench: Bench) -> None:
    merged = bench.merge({"a": "1\n"}, {"a": "the team's own\n"}, {"a/b": "other\n"})
    assert merged.conflicts
    texts = {bench.text(merged, path) for path in merged.tree}
    assert texts == {"the team's own\n", "other\n"}


def test_link_that_both_changed_is_listed(bench: Bench, tmp_path: Path) -> None:
    for side, target in (("base", "x"), ("ours", "y"), ("theirs", "z")):
        (tmp_path / f"{side}-tree").mkdir()
        (tmp_path / f"{side}-tree" / "link").symlink_to(target)
    sides = Sides(
        *(bench.scratch.add(tmp_path / f"{side}-tree", side) for side in ("base", "ours", "theirs"))
    )
    merged = threeway.merge(bench.scratch, sides, Labels("v1", "v2"), "inline")
    assert merged.conflicts
    assert merged.tree["link"] == sides.ours["link"]


def test_file_written_once_stays_the_projects(bench: Bench) -> None:
    sides = Sides(
        {"once": objects.Entry("100644", "1" * 40)},
        {"once": objects.Entry("100644", "2" * 40)},
        {"once": objects.Entry("100644", "3" * 40), "fresh": objects.Entry("100644", "4" * 40)},
    )
    aligned = threeway.aligned(sides, always_new=(), once=lambda path: True)
    assert aligned.base["once"] == aligned.theirs["once"] == sides.ours["once"]
    assert aligned.theirs["fresh"] == sides.theirs["fresh"]


def test_clean_merge_that_is_no_longer_valid_is_merged_by_key(bench: Bench) -> None:
    """git takes two insertions of one table at two places for clean; TOML does not."""
    base = "[a]\nx = 1\n\n" + "".join(f"[t{n}]\nv = {n}\n\n" for n in range(6)) + "[z]\nx = 1\n"
    ours = base.replace("[t0]", "[same]\nv = 1\n\n[t0]")
    theirs = base + "\n[same]\nv = 1\n"
    merged = bench.merge({"x.toml": base}, {"x.toml": ours}, {"x.toml": theirs})
    assert structured.is_valid("x.toml", bench.text(merged, "x.toml"))
