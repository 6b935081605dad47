from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient

pytestmark = pytest.mark.anyio


async def create(client: AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/items", json=fields)
    assert response.status_code == 201
    item: dict[str, Any] = response.json()
    return item


async def test_created_item_can_be_read(client: AsyncClient) -> None:
    response = await client.post("/items", json={"name": "Lamp", "description": "Green"})
    item = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/items/{item['id']}"
    assert (item["name"], item["description"]) == ("Lamp", "Green")
    assert (await client.get(f"/items/{item['id']}")).json() == item


async def test_time_is_utc_in_milliseconds(client: AsyncClient) -> None:
    item = await create(client, name="Lamp")
    assert len(item["created_at"]) == len("2026-11-24T07:00:00.123Z")
    assert item["created_at"].endswith("Z")


async def test_pages_hold_every_item_once(client: AsyncClient) -> None:
    created = [(await create(client, name=f"Item {number}"))["id"] for number in range(5)]
    seen = []
    query: dict[str, Any] = {"limit": 2}
    while len(query) == 1 or query["cursor"]:
        page = (await client.get("/items", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(created)


async def test_only_the_given_fields_change(client: AsyncClient) -> None:
    item = await create(client, name="Lamp", description="Green")
    response = await client.patch(f"/items/{item['id']}", json={"name": "Light"})
    assert response.json() == item | {"name": "Light"}


async def test_null_clears_the_description(client: AsyncClient) -> None:
    item = await create(client, name="Lamp", description="Green")
    response = await client.patch(f"/items/{item['id']}", json={"description": None})
    assert response.json() == item | {"description": None}


async def test_deleted_item_is_gone(client: AsyncClient) -> None:
    item = await create(client, name="Lamp")
    assert (await client.delete(f"/items/{item['id']}")).status_code == 204
    assert (await client.get(f"/items/{item['id']}")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_item_is_not_found(client: AsyncClient, method: str) -> None:
    body = {"name": "Lamp"} if method == "PATCH" else None
    response = await client.request(method, f"/items/{uuid4()}", json=body)
    assert response.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": None},
        {"name": "nul \0"},
        {"name": "Lamp", "description": "x" * 2001},
        {"name": "Lamp", "color": "green"},
    ],
)
async def test_wrong_item_is_rejected(client: AsyncClient, body: dict[str, Any]) -> None:
    assert (await client.post("/items", json=body)).status_code == 422


@pytest.mark.parametrize(
    "body", [r'{"name": "\ud800"}', '{"name": NaN}', r'{"\ud800": 1}', "{", ""]
)
async def test_body_that_json_or_unicode_does_not_allow_is_rejected(
    client: AsyncClient, body: str
) -> None:
    response = await client.post(
        "/items", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert response.json()["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=%ff"])
async def test_wrong_query_is_rejected(client: AsyncClient, query: str) -> None:
    assert (await client.get(f"/items?{query}")).status_code == 422


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00", "2026-01-01", "never"]
)
async def test_forged_cursor_is_rejected(client: AsyncClient, time: str) -> None:
    cursor = urlsafe_b64encode(f"{time} {uuid4()}".encode()).decode().rstrip("=")
    assert (await client.get(f"/items?cursor={cursor}")).status_code == 422


async def test_wrong_id_is_rejected(client: AsyncClient) -> None:
    assert (await client.get("/items/1")).status_code == 422
