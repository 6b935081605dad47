"""Liveness and readiness."""

import logging

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
