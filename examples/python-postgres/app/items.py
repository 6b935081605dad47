"""The routes of /items."""

import base64
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError

from app.schemas import Item, ItemChanges, ItemPage, NewItem, Position, to_milliseconds
from app.store import Store

router = APIRouter(prefix="/items", tags=["items"])


def get_store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def encode_cursor(position: Position) -> str:
    text = f"{to_milliseconds(position.created_at)} {position.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None = None) -> Position | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        time, _, item_id = base64.urlsafe_b64decode(padded).decode().partition(" ")
        position = Position(datetime.fromisoformat(time), UUID(item_id))
        if encode_cursor(position) == cursor:
            return position
    except (ValueError, OverflowError):
        pass
    message = "Not a cursor of this service"
    raise RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])


StoreDependency = Annotated[Store, Depends(get_store)]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_item(new: NewItem, store: StoreDependency, response: Response) -> Item:
    item = await store.create(new)
    response.headers["Location"] = f"/items/{item.id}"
    return item


@router.get("")
async def list_items(
    store: StoreDependency,
    after: Annotated[Position | None, Depends(decode_cursor)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ItemPage:
    """Oldest first."""
    rows = await store.page(after, limit + 1)
    items = rows[:limit]
    if len(rows) == len(items):
        return ItemPage(items=items, next_cursor=None)
    last = Position(items[-1].created_at, items[-1].id)
    return ItemPage(items=items, next_cursor=encode_cursor(last))


@router.get("/{item_id}")
async def get_item(item_id: UUID, store: StoreDependency) -> Item:
    return found(await store.get(item_id))


@router.patch("/{item_id}")
async def change_item(item_id: UUID, changes: ItemChanges, store: StoreDependency) -> Item:
    return found(await store.change(item_id, changes.model_dump(exclude_unset=True)))


@router.delete("/{item_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_item(item_id: UUID, store: StoreDependency) -> None:
    if not await store.delete(item_id):
        raise HTTPException(status.HTTP_404_NOT_FOUND)


def found(item: Item | None) -> Item:
    if item is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return item
