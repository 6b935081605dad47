import pytest
from httpx import ASGITransport, AsyncClient

from app.main import create_app
from app.store import open_store

pytestmark = pytest.mark.anyio


async def test_process_is_alive(client: AsyncClient) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_ready_while_the_database_answers(client: AsyncClient) -> None:
    response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_not_ready_without_the_database() -> None:
    async with open_store("postgresql://127.0.0.1:1/app") as store:
        transport = ASGITransport(create_app(store))
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})


async def test_root_names_the_service(client: AsyncClient) -> None:
    assert (await client.get("/")).json() == {"name": "python-postgres"}
