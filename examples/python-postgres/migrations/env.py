"""How Alembic reaches the database: as the app does, by DATABASE_URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from app.logs import configure_logging
from app.settings import read_settings
from app.startup import wait_until_ready
from app.store import Base, open_store


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def migrate(url: str) -> None:
    async with open_store(url) as store:
        await wait_until_ready(store)
        async with store.engine.connect() as connection:
            await connection.run_sync(run)


settings = read_settings()
configure_logging(settings.log_level)
asyncio.run(migrate(settings.database_url.get_secret_value()))
