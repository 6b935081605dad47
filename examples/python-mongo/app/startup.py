"""The wait for the database at start, of the app and of migrations."""

import asyncio
import logging
import sys
import time

from app.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)


async def wait_until_ready(store: Store, patience: float = 30.0) -> None:
    """Return when the database answers; end the process when patience (seconds) is over."""
    deadline = time.monotonic() + patience
    pause = 0.1
    while True:
        try:
            return await store.ping()
        except StoreUnavailable as error:
            reason = str(error)
        if time.monotonic() + pause > deadline:
            logger.critical("no database, giving up", extra={"reason": reason})
            sys.exit(1)
        logger.warning("waiting for the database", extra={"reason": reason})
        await asyncio.sleep(pause)
        pause = min(pause * 2, 3.0)
