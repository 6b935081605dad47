"""Liveness, readiness, and the wait for the database at start."""

import asyncio
import logging
import time

from fastapi import APIRouter, Request, Response, status

from app.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={status.HTTP_503_SERVICE_UNAVAILABLE: {}})
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """The database answers."""
    store: Store = request.app.state.store
    try:
        await store.ping()
    except StoreUnavailable as error:
        logger.warning("database unavailable", extra={"reason": str(error)})
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return {"status": "unavailable"}
    return {"status": "ok"}


async def wait_until_ready(store: Store, patience: float = 30.0) -> None:
    """Return when the database answers; raise StoreUnavailable when patience (seconds) is over."""
    deadline = time.monotonic() + patience
    pause = 0.1
    while True:
        try:
            return await store.ping()
        except StoreUnavailable as error:
            if time.monotonic() + pause > deadline:
                raise
            logger.warning("waiting for the database", extra={"reason": str(error)})
        await asyncio.sleep(pause)
        pause = min(pause * 2, 3.0)
