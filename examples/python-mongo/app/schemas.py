"""The shape of an item: as clients send it, and as they get it."""

from datetime import UTC, datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints


def to_milliseconds(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Without the character NUL, which PostgreSQL's text cannot hold.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Description = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Timestamp = Annotated[
    datetime,
    PlainSerializer(to_milliseconds, return_type=str),
    Field(json_schema_extra={"format": "date-time"}),
]


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Description | None = None


class ItemChanges(BaseModel):
    """Only the fields that were sent are changed."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(default_factory=str)  # may be left out, but not null
    description: Description | None = None


class Item(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str | None
    created_at: Timestamp


class ItemPage(BaseModel):
    items: list[Item]
    next_cursor: str | None


class Position(NamedTuple):
    """A place in the order of all items."""

    created_at: datetime
    id: UUID
