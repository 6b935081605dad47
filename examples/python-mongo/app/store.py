"""Items in MongoDB. The only module that knows PyMongo."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pymongo
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from app.schemas import Item, NewItem, Position

Document = dict[str, Any]
ORDER = [("created_at", pymongo.ASCENDING), ("_id", pymongo.ASCENDING)]
PING_SECONDS = 2


class StoreUnavailable(Exception):
    """The database does not answer."""


class Store:
    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self.database = database
        self._items = database["items"]

    async def ping(self) -> None:
        try:
            with pymongo.timeout(PING_SECONDS):
                await self.database.command("ping")
        except PyMongoError as error:
            raise StoreUnavailable(str(error)) from error

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._items.create_index(ORDER)

    async def create(self, new: NewItem) -> Item:
        document = {"_id": uuid4(), **new.model_dump(), "created_at": _now()}
        await self._items.insert_one(document)
        return _item(document)

    async def page(self, after: Position | None, limit: int) -> list[Item]:
        query: Document = {}
        if after:
            time, item_id = after
            later = {"created_at": {"$gt": time}}
            query = {"$or": [later, {"created_at": time, "_id": {"$gt": item_id}}]}
        documents = self._items.find(query).sort(ORDER).limit(limit)
        return [_item(document) async for document in documents]

    async def get(self, item_id: UUID) -> Item | None:
        document = await self._items.find_one({"_id": item_id})
        return _item(document) if document else None

    async def change(self, item_id: UUID, changes: Document) -> Item | None:
        if not changes:
            return await self.get(item_id)
        document = await self._items.find_one_and_update(
            {"_id": item_id}, {"$set": changes}, return_document=ReturnDocument.AFTER
        )
        return _item(document) if document else None

    async def delete(self, item_id: UUID) -> bool:
        return (await self._items.delete_one({"_id": item_id})).deleted_count == 1


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Yield the store on this database, and close its connections in the end."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        url, tz_aware=True, uuidRepresentation="standard"
    )
    async with client:
        yield Store(client.get_default_database("app"))


def _now() -> datetime:
    """The time in milliseconds, which is what MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _item(document: Document) -> Item:
    return Item(id=document["_id"], **document)
