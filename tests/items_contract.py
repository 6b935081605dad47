"""The HTTP contract of a generated service, the same for every language and database.

`check_items` walks all of it against a running service and raises AssertionError on the first difference.
Only the status and the body of a refusal belong to the framework: FastAPI's 422, Fastify's 400.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import httpx

Language = Literal["python", "node"]
Item = dict[str, Any]

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UNKNOWN = "00000000-0000-4000-8000-000000000000"

REFUSED_BODIES: tuple[Any, ...] = (
    {},
    [],
    "tea",
    {"description": "no name"},
    {"name": None},
    {"name": 7},
    {"name": True},
    {"name": ""},
    {"name": "x" * 201},
    {"name": "tea", "description": 7},
    {"name": "tea", "description": "x" * 2001},
    {"name": "tea", "color": "green"},
    {"name": "tea", "id": UNKNOWN},
    {"name": "tea", "created_at": "2026-01-01T00:00:00.000Z"},
)
REFUSED_CHANGES: tuple[Any, ...] = (
    [],
    {"name": None},
    {"name": ""},
    {"name": "x" * 201},
    {"description": 7},
    {"color": "green"},
    {"id": UNKNOWN},
)
REFUSED_QUERIES = (
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1.5",
    "limit=many",
    "limit=",
    "cursor=",
    "cursor=x",
    "cursor=%00",
    "cursor=bm90IGEgY3Vyc29y",
)
# What a database could choke on: none of these may end in a server error.
ODD_TEXTS = (
    "\x00",
    "a\x00b",
    "\ud800",
    "\U0001f375" * 200,
    "e\u0301",
    "'; DROP TABLE items; --",
    "$set",
    " ",
)


class Service(NamedTuple):
    client: httpx.Client
    language: Language

    def expect(self, status: int, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask, and insist on this status."""
        answer = self.client.request(method, path, **({} if body is None else {"json": body}))
        asked = f"{method} {path}" + ("" if body is None else f" with {body!r:.80}")
        assert answer.status_code == status, (
            f"{asked}: {answer.status_code}, not {status}: {answer.text[:200]}"
        )
        return answer

    def expect_refusal(self, method: str, path: str, body: Any = None) -> None:
        """Ask, and insist on the framework's own answer to what is not valid."""
        answer = self.expect(422 if self.language == "python" else 400, method, path, body).json()
        if self.language == "python":
            assert isinstance(answer["detail"], list), f"{method} {path}: not FastAPI's shape: {answer}"
            assert all({"type", "loc", "msg"} <= problem.keys() for problem in answer["detail"]), answer
        else:
            assert answer.keys() == {"statusCode", "code", "error", "message"}, (
                f"{method} {path}: not Fastify's shape: {answer}"
            )
            assert (answer["statusCode"], answer["error"]) == (400, "Bad Request"), answer


def check_health(base_url: str) -> None:
    """Both probes answer; that is all that a service without a database has, besides its name."""
    with httpx.Client(base_url=base_url, timeout=10) as client:
        for path in ("/healthz", "/readyz"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"}), (
                f"{path}: {answer.text[:300]}"
            )


def check_items(base_url: str, language: Language) -> None:
    """Walk the whole contract. The items that were there before stay; there may be 40 of them at most."""
    check_health(base_url)
    with httpx.Client(base_url=base_url, timeout=10) as client:
        service = Service(client, language)
        before = ids(walk(service, limit=100))
        check_creation(service)
        check_refusals(service)
        check_odd_texts(service)
        check_changes(service)
        check_pages(service)
        for item_id in ids(walk(service, limit=100)) - before:
            service.expect(204, "DELETE", f"/items/{item_id}")
        assert ids(walk(service, limit=100)) == before, "not every item made here could be deleted"


def check_creation(service: Service) -> None:
    answer = service.expect(201, "POST", "/items", {"name": "tea", "description": "ümläut, \U0001f375"})
    item = answer.json()
    assert_item(item)
    assert (item["name"], item["description"]) == ("tea", "ümläut, \U0001f375"), item
    assert answer.headers["location"].endswith(f"/items/{item['id']}"), answer.headers["location"]
    assert answer.headers["content-type"].startswith("application/json"), answer.headers["content-type"]
    age = datetime.now(UTC) - datetime.fromisoformat(item["created_at"])
    assert abs(age) < timedelta(minutes=1), f"created_at is not now: {item['created_at']}"
    assert service.expect(200, "GET", f"/items/{item['id']}").json() == item
    assert service.expect(200, "GET", f"/items/{item['id'].upper()}").json() == item

    for body in ({"name": "tea"}, {"name": "tea", "description": None}):
        item = service.expect(201, "POST", "/items", body).json()
        assert_item(item)
        assert item["description"] is None, item

    for body in ({"name": "x" * 200, "description": "x" * 2000}, {"name": "x", "description": ""}):
        item = service.expect(201, "POST", "/items", body).json()
        assert {key: item[key] for key in body} == body, item


def check_refusals(service: Service) -> None:
    item = service.expect(201, "POST", "/items", {"name": "tea"}).json()
    path = f"/items/{item['id']}"

    for body in REFUSED_BODIES:
        service.expect_refusal("POST", "/items", body)
    for body in REFUSED_CHANGES:
        service.expect_refusal("PATCH", path, body)
    for query in REFUSED_QUERIES:
        service.expect_refusal("GET", f"/items?{query}")
    for method, body in (("GET", None), ("PATCH", {"name": "tea"}), ("DELETE", None)):
        for not_an_id in ("7", "urn:uuid:" + UNKNOWN, UNKNOWN[:-1]):
            if (service.language, not_an_id[:4]) != ("python", "urn:"):  # Python's UUID reads that one
                service.expect_refusal(method, f"/items/{not_an_id}", body)
        service.expect(404, method, f"/items/{UNKNOWN}", body)

    for content in (b"", b"{", b'{"name": "tea"', b"\xff"):
        answer = service.client.post("/items", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), f"POST /items with {content!r}: {answer.status_code}"
    assert service.expect(200, "GET", path).json() == item, "a refused request changed the item"


def check_odd_texts(service: Service) -> None:
    for text in ODD_TEXTS:
        content = json.dumps(
            {"name": text, "description": text}
        )  # in ASCII, so a lone surrogate gets through
        answer = service.client.post("/items", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (201, 400, 422), f"a name of {text!r:.40}: {answer.status_code}"
        if answer.status_code == 201:
            item = answer.json()
            assert service.expect(200, "GET", f"/items/{item['id']}").json() == item


def check_changes(service: Service) -> None:
    item = service.expect(201, "POST", "/items", {"name": "tea", "description": "green"}).json()
    path = f"/items/{item['id']}"
    for changes in ({"name": "coffee"}, {"description": "black"}, {"description": None}, {"name": "tea"}, {}):
        item |= changes
        assert service.expect(200, "PATCH", path, changes).json() == item, f"PATCH {changes}"
        assert service.expect(200, "GET", path).json() == item, f"after PATCH {changes}"

    answer = service.expect(204, "DELETE", path)
    assert answer.content == b"", f"DELETE answered with a body: {answer.text[:100]}"
    for method, body in (("GET", None), ("PATCH", {"name": "tea"}), ("DELETE", None)):
        service.expect(404, method, path, body)


def check_pages(service: Service) -> None:
    created = [service.expect(201, "POST", "/items", {"name": f"page {n}"}).json() for n in range(25)]

    everything = walk(service, limit=100)
    order = [(item["created_at"], item["id"]) for item in everything]
    assert order == sorted(order), "items are not in the order of created_at and id"
    assert [item for item in everything if item in created] == sorted(
        created, key=lambda item: (item["created_at"], item["id"])
    ), "the list does not hold what was created, as it was created"
    for limit in (1, 7, len(everything)):
        assert walk(service, limit=limit) == everything, f"pages of {limit} are not the whole list"

    first = service.expect(200, "GET", "/items").json()
    assert first.keys() == {"items", "next_cursor"}, first.keys()
    assert len(first["items"]) == min(20, len(everything)), "the default limit is not 20"

    # What is deleted between two pages moves nothing of the rest.
    page = service.expect(200, "GET", f"/items?limit={len(everything) - 10}").json()
    service.expect(204, "DELETE", f"/items/{page['items'][-1]['id']}")
    rest = walk(service, limit=10, cursor=page["next_cursor"])
    assert page["items"] + rest == everything, "a deletion moved the next page"


def walk(service: Service, *, limit: int, cursor: str | None = None) -> list[Item]:
    """Follow the cursor to the end."""
    items: list[Item] = []
    while True:
        query = httpx.QueryParams({"limit": limit} | ({"cursor": cursor} if cursor else {}))
        page = service.expect(200, "GET", f"/items?{query}").json()
        assert len(page["items"]) <= limit, f"{len(page['items'])} items on a page of {limit}"
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items
        assert page["items"], "an empty page has a next one"


def ids(items: list[Item]) -> set[str]:
    return {item["id"] for item in items}


def assert_item(item: Item) -> None:
    assert list(item) == ["id", "name", "description", "created_at"], f"not the fields of an item: {item}"
    assert UUID4.fullmatch(item["id"]), f"not a uuid4: {item['id']}"
    assert INSTANT.fullmatch(item["created_at"]), f"not UTC with milliseconds and Z: {item['created_at']}"
