"""Settings from the environment, checked before anything else starts."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings


def _check_scheme(url: SecretStr) -> SecretStr:
    schemes = ("postgresql://", "postgres://")
    if not url.get_secret_value().startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    return url


class Settings(BaseSettings):
    """One field for each variable: `log_level` is LOG_LEVEL."""

    database_url: Annotated[SecretStr, AfterValidator(_check_scheme)]
    host: str = "0.0.0.0"  # noqa: S104 - inside a container; what is published decides who reaches it
    port: int = Field(default=8000, ge=1, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
