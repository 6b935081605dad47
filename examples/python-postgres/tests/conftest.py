"""The application under test, called without a network, on a database of its own.

It is TEST_DATABASE_URL, or DATABASE_URL with `_test` after the database's name: created when it is
missing, and then dropped in the end.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from alembic import command
from alembic.config import Config
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from app.main import create_app
from app.store import Store, open_store


def choose_database() -> URL:
    if url := os.environ.get("TEST_DATABASE_URL"):
        return make_url(url)
    if url := os.environ.get("DATABASE_URL"):
        development = make_url(url)
        return development.set(database=f"{development.database}_test")
    pytest.exit("Set TEST_DATABASE_URL or DATABASE_URL to reach a database server.", returncode=1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    url = choose_database()
    server = create_engine(
        url.set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )
    name = server.dialect.identifier_preparer.quote_identifier(str(url.database))
    with server.connect() as connection:
        exists = text("SELECT 1 FROM pg_database WHERE datname = :name")
        is_new = not connection.scalar(exists, {"name": url.database})
        if is_new:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            if is_new:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def migrated_url(database_url: str) -> str:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", database_url)
        command.upgrade(Config("alembic.ini"), "head")
    return database_url


@pytest.fixture
async def store(migrated_url: str) -> AsyncIterator[Store]:
    async with open_store(migrated_url) as store:
        async with store.engine.begin() as connection:
            await connection.execute(text("TRUNCATE items"))
        yield store


@pytest.fixture
async def client(store: Store) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(create_app(store))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
