"""Whose a name is, decided from values alone; test_ownership tries the same with real folders and rows."""

from __future__ import annotations

import unicodedata

import pytest

from scaffold.project.checkout import as_written
from scaffold.stack import names
from scaffold.stack.identity import Facts, Meaning, Record, Source, Trace, is_strange, rival, unproven
from scaffold.stack.naming import Candidate, Chosen, Undecided, choose

HERE, THERE = "/b/shop", "/a/shop"
HASHED = f"shop-{names.checkout_hash(HERE)}"
OTHER = f"shop-{names.checkout_hash(THERE)}"


def container(path: str, project: str = "shop", *, scaffold: bool = True) -> Trace:
    return Trace("container", f"{project}-db-1", project, path, scaffold)


def volume(path: str, project: str = "shop") -> Trace:
    return Trace("volume", f"{project}_db", project, path, scaffold=bool(path))


def there(name: str, source: Source = Source.ENV_FILE) -> Meaning:
    return Meaning(THERE, name, source)


@pytest.mark.parametrize("source", list(Source))
def test_folder_that_is_there_and_means_the_name_has_it(source: Source) -> None:
    assert rival(Facts("shop", HERE, (container(THERE),), (there("shop", source),)))


LINK = Meaning(THERE, "shop", same=True)
NAMELESS = there("shop", Source.FOLDER)
PLAIN = container(THERE, HASHED, scaffold=False)
GONE = Meaning(THERE, there=False)
UNSEEN = Meaning(THERE, readable=False)
CASES = {
    "gone": (Facts("shop", HERE, (container(THERE),), (GONE,)), False),
    "not to be read": (Facts("shop", HERE, (container(THERE),), (UNSEEN,)), True),
    "no project there": (Facts("shop", HERE, (container(THERE),), (Meaning(THERE),)), False),
    "the same by a link": (
        Facts("shop", HERE, (container(THERE),), (Meaning(THERE, "shop", same=True),)),
        False,
    ),
    "its .env is lost": (
        Facts("shop-x", HERE, (container(THERE, "shop-x"),), (there("shop", Source.FOLDER),)),
        True,
    ),
    "its .env has another name": (Facts("shop", HERE, (volume(THERE),), (there("x"),)), False),
    "the same, and it has containers": (Facts("shop", HERE, (container(THERE),), (there("x"),)), True),
    "the same, of a moved folder": (
        Facts(OTHER, HERE, (container(THERE, OTHER),), (there(f"{OTHER}-2"),)),
        False,
    ),
    "only Compose ran in the copy": (
        Facts(
            HASHED, HERE, (container(THERE, HASHED, scaffold=False), volume(HERE, HASHED)), (there(HASHED),)
        ),
        False,
    ),
    "scaffold ran in the moved folder": (
        Facts(HASHED, HERE, (container(THERE, HASHED), volume(HERE, HASHED)), (there(HASHED),)),
        True,
    ),
    "moved from there, settled here": (
        Facts(OTHER, HERE, (container(HERE, OTHER), volume(THERE, OTHER)), (there(OTHER),)),
        False,
    ),
    "moved, and only the record says so": (
        Facts(HASHED, HERE, (volume(HERE, HASHED),), (there(HASHED),), Record(THERE)),
        True,
    ),
    "a compose file further down": (
        Facts("shop", HERE, (container(f"{HERE}/infra"),), (Meaning(f"{HERE}/infra", "shop"),)),
        False,
    ),
}


@pytest.mark.parametrize(("facts", "claimed"), CASES.values(), ids=CASES.keys())
def test_name_belongs_to(facts: Facts, claimed: bool) -> None:
    assert (rival(facts) is not None) == claimed


GIVEN = {
    "only a name": (Facts("shop", HERE, (volume(THERE),), (GONE,)), 0, THERE),
    "only a name, and the record is of another folder": (
        Facts("shop", HERE, (volume(""),), (GONE,), Record(THERE, 1)),
        2,
        THERE,
    ),
    "the record knows the folder": (Facts("shop", HERE, (volume(THERE),), (GONE,), Record(THERE, 1)), 1, ""),
    "there, with another name": (Facts("shop", HERE, (volume(THERE),), (there("x"),)), 0, THERE),
    "only Compose has run here": (
        Facts("shop", HERE, (container(HERE, scaffold=False), volume(THERE)), (GONE,)),
        0,
        THERE,
    ),
    "settled here": (Facts("shop", HERE, (container(HERE), volume(THERE)), (GONE,)), 0, ""),
    "settled here, as the record says": (
        Facts("shop", HERE, (volume(THERE),), (GONE,), Record(HERE, 1)),
        1,
        "",
    ),
    "the same by a link": (Facts("shop", HERE, (volume(THERE),), (LINK,)), 0, ""),
    "nothing is left": (Facts("shop", HERE, (), (GONE,), Record(THERE, 1)), 0, ""),
    "begun here": (Facts("shop", HERE, (volume(HERE),), ()), 0, ""),
}


@pytest.mark.parametrize(("facts", "inode", "former"), GIVEN.values(), ids=GIVEN.keys())
def test_name_alone_is_no_proof_that_a_project_was_moved(facts: Facts, inode: int, former: str) -> None:
    assert unproven(facts, inode) == former


def candidate(name: str, *, foreign: bool = False, doubt: str = "") -> Candidate:
    return Candidate(Facts(name, HERE, (volume(HERE, name),)), (volume(HERE, name),), foreign, doubt)


def test_folder_keeps_the_name_that_it_had() -> None:
    chosen = choose(HASHED, [candidate("shop")], ["shop"])
    assert isinstance(chosen, Chosen)
    assert (chosen.name, chosen.kept) == ("shop", True)
    assert "shop_db" in chosen.note


def test_name_of_its_own_comes_before_older_ones_and_is_not_told() -> None:
    assert choose(HASHED, [candidate("shop"), candidate(HASHED)], []) == Chosen(HASHED, kept=True)


def test_nothing_chooses_between_two_older_names() -> None:
    assert choose(HASHED, [candidate("one"), candidate("two")], []) == Undecided(("one", "two"))


def test_doubt_is_for_a_person() -> None:
    assert choose(HASHED, [candidate(HASHED, doubt=THERE)], []) == Undecided((HASHED,), THERE)


def test_name_of_another_folder_is_passed_over() -> None:
    chosen = choose(HASHED, [candidate(HASHED, foreign=True)], [HASHED, f"{HASHED}-2"])
    assert isinstance(chosen, Chosen)
    assert (chosen.name, chosen.kept) == (f"{HASHED}-3", False)
    assert f"COMPOSE_PROJECT_NAME={HASHED}" in chosen.note


OWN = f"{HERE}/compose.yaml"
INFRA = f"{HERE}/infra.yml"
STRANGE = {
    "ours": ((OWN,), True, False),
    "no label": ((), True, False),
    "another one": ((INFRA,), True, True),
    "both, and the service is ours": ((OWN, INFRA), True, False),
    "both, and it is not": ((OWN, INFRA), False, True),
    "gone": ((f"{HERE}/docker-compose.yml",), True, False),
    "through a link": (("/link/compose.yaml",), True, False),
    "from standard input": (("-",), True, True),
}


@pytest.mark.parametrize(("files", "known", "strange"), STRANGE.values(), ids=STRANGE.keys())
def test_container_is_of_other_compose_files(files: tuple[str, ...], known: bool, strange: bool) -> None:
    real = {OWN: OWN, INFRA: INFRA, "/link/compose.yaml": OWN}.get
    assert is_strange(files, [OWN], real, known=known) == strange


def test_folder_is_written_as_its_file_system_has_it() -> None:
    entries = ("App", "other", unicodedata.normalize("NFD", "Büro"))
    assert as_written("aPP", entries) == "App"
    assert as_written("bÜro", entries) == unicodedata.normalize("NFD", "Büro")
    assert as_written("App", (*entries, "app")) == "App"
    assert as_written("new", entries) == "new"
