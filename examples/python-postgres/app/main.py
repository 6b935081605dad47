"""The HTTP application."""

from fastapi import FastAPI

from app import health, items
from app.store import Store


def create_app(store: Store) -> FastAPI:
    """Return the application that works on this store."""
    app = FastAPI(title="python-postgres")
    app.state.store = store
    app.include_router(health.router)
    app.include_router(items.router)
    return app
