"""The HTTP application."""

import json

from fastapi import FastAPI, Request, Response, status
from fastapi.exceptions import RequestValidationError

from app import health, items
from app.store import Store


def create_app(store: Store) -> FastAPI:
    """Return the application that works on this store."""
    app = FastAPI(title="python-mongo")
    app.state.store = store
    app.include_router(health.router)
    app.include_router(items.router)

    @app.get("/")
    async def name() -> dict[str, str]:
        return {"name": app.title}

    @app.exception_handler(RequestValidationError)
    async def reject(request: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the input, and fails on input that UTF-8 or JSON cannot hold.
        detail = [{key: e[key] for key in ("type", "loc", "msg")} for e in error.errors()]
        return Response(
            json.dumps({"detail": detail}),
            status.HTTP_422_UNPROCESSABLE_CONTENT,
            media_type="application/json",
        )

    return app
