"""The wait for the database at start, of the app and of migrations."""

import asyncio
import logging
import time

from app.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)


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
