"""The process: settings, logs, database, server. Run it with `python -m app`."""

import asyncio
import signal
import sys

import uvicorn
from fastapi import FastAPI

from app.logs import configure_logging
from app.main import create_app
from app.settings import Settings, read_settings
from app.startup import wait_until_ready
from app.store import open_store


async def serve(settings: Settings) -> None:
    async with open_store(settings.database_url.get_secret_value()) as store:
        await wait_until_ready(store)
        await store.prepare()
        await server(create_app(store), settings).serve()


def server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def main() -> None:
    # uvicorn ends open requests on a signal and then raises it again: a clean stop is exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    settings = read_settings()
    configure_logging(settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
