"""Items in PostgreSQL. The only module that knows SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.schemas import Item, NewItem, Position

PING_SECONDS = 2


class StoreUnavailable(Exception):
    """The database does not answer."""


class Base(DeclarativeBase):
    """What `alembic revision --autogenerate` compares the database with."""


class ItemRow(Base):
    __tablename__ = "items"
    __table_args__ = (Index("items_order", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(2000))
    # Milliseconds, as clients see them: a cursor then names the exact place.
    created_at: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True, precision=3), server_default=func.now()
    )


class Store:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {PING_SECONDS} seconds") from None
        except DBAPIError as error:
            raise StoreUnavailable(str(error.orig)) from error

    async def create(self, new: NewItem) -> Item:
        async with self._sessions.begin() as session:
            row = ItemRow(**new.model_dump())
            session.add(row)
            await session.flush()
            return Item.model_validate(row)

    async def page(self, after: Position | None, limit: int) -> list[Item]:
        query = select(ItemRow).order_by(ItemRow.created_at, ItemRow.id).limit(limit)
        if after:
            query = query.where(tuple_(ItemRow.created_at, ItemRow.id) > tuple(after))
        async with self._sessions() as session:
            return [Item.model_validate(row) for row in await session.scalars(query)]

    async def get(self, item_id: UUID) -> Item | None:
        async with self._sessions() as session:
            row = await session.get(ItemRow, item_id)
        return Item.model_validate(row) if row else None

    async def change(self, item_id: UUID, changes: dict[str, Any]) -> Item | None:
        if not changes:
            return await self.get(item_id)
        statement = update(ItemRow).where(ItemRow.id == item_id).values(changes).returning(ItemRow)
        async with self._sessions.begin() as session:
            row = await session.scalar(statement)
        return Item.model_validate(row) if row else None

    async def delete(self, item_id: UUID) -> bool:
        statement = delete(ItemRow).where(ItemRow.id == item_id).returning(ItemRow.id)
        async with self._sessions.begin() as session:
            return await session.scalar(statement) is not None


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Yield the store on this database, and close its connections in the end."""
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
    )
    try:
        yield Store(engine)
    finally:
        await engine.dispose()
