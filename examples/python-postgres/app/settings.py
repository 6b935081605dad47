"""Settings from the environment, checked before anything else starts."""

import sys
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


def _check_url(url: SecretStr) -> SecretStr:
    schemes = ("postgresql://", "postgres://")
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    try:
        parts = urlsplit(url.get_secret_value())
        is_whole = parts.port != 0 and not parts.fragment
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("is no URL; special characters of a password have to be percent-encoded")
    return url


class Settings(BaseSettings):
    """One field for each variable: `log_level` is LOG_LEVEL."""

    database_url: Annotated[SecretStr, AfterValidator(_check_url)]
    host: str = "0.0.0.0"  # noqa: S104 - inside a container; what is published decides who reaches it
    port: int = Field(default=8000, ge=1, le=65535)
    log_level: LogLevel = "info"


def read_settings() -> Settings:
    """Return the settings, or exit with one line for each that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        # Without the values: they may be secrets.
        sys.exit("\n".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()))
