"""The application under test, called without a network, on a database of its own.

It is TEST_DATABASE_URL, or DATABASE_URL with `_test` after the database's name: created when it is
missing, and then dropped in the end.
"""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx import ASGITransport, AsyncClient
from pymongo import MongoClient

from app.main import create_app
from app.store import Store, open_store


def choose_database() -> str:
    if url := os.environ.get("TEST_DATABASE_URL"):
        return url
    if url := os.environ.get("DATABASE_URL"):
        development = urlsplit(url)
        name = development.path.strip("/") or "app"
        return development._replace(path=f"/{name}_test").geturl()
    pytest.exit("Set TEST_DATABASE_URL or DATABASE_URL to reach a database server.", returncode=1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    url = choose_database()
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    with client:
        database = client[client.get_default_database("app_test").name]
        is_new = not database.list_collection_names()
        yield url
        if is_new:
            client.drop_database(database)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as store:
        await store.database["items"].delete_many({})
        await store.prepare()
        yield store


@pytest.fixture
async def client(store: Store) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(create_app(store))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
