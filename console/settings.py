"""All settings: what each room declares, composed into one file and one environment.

What counts, first to last: the environment (``NEARLINE_STREAM__REDIS__URL``), the folder of secrets that
``NEARLINE_SECRETS`` names (a file each, ``stream__redis__password``), the file that ``NEARLINE_CONFIG``
names (or ``nearline.yaml`` in the current folder), the embedded stack that runs here (``nearline up``), and
the defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from agents.settings import AgentSettings
from console.errors import SettingsError
from console.web.settings import ConsoleSettings
from index.settings import IndexSettings
from stream.embedded import status
from stream.settings import StreamSettings

__all__ = ["CONFIG_VARIABLE", "Settings", "load_settings"]

CONFIG_VARIABLE = "NEARLINE_CONFIG"
SECRETS_VARIABLE = "NEARLINE_SECRETS"
_HOME_FILE = Path("nearline.yaml")


class _RunningStack(PydanticBaseSettingsSource):
    """Addresses of the embedded stack, if one runs in the run folder."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Not used: :meth:`__call__` gives everything at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        run = self.current_state.get("run") or os.environ.get("NEARLINE_RUN") or ".nearline/run"
        state = status(Path(run))
        if state is None:
            return {}
        return {"stream": {"kafka": {"brokers": state.bootstrap}, "redis": {"url": state.redis_url}}}


class Settings(BaseSettings):
    """Nearline's configuration."""

    model_config = SettingsConfigDict(
        env_prefix="NEARLINE_", env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    run: Path = Field(
        default=Path(".nearline/run"), description="Folder of the embedded stack: its state, logs and data."
    )
    stream: StreamSettings = Field(
        default_factory=StreamSettings, description="Kafka, Redis, gate, inference, slates, health."
    )
    agents: AgentSettings = Field(
        default_factory=AgentSettings, description="The language model and the ladder."
    )
    index: IndexSettings = Field(default_factory=IndexSettings, description="Catalogue, encoder and recall.")
    console: ConsoleSettings = Field(
        default_factory=ConsoleSettings, description="The operators' web page (`nearline console`)."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # a .env file would be a third place to look
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, secrets, file, running stack, defaults."""
        folder, path = secrets_folder(), config_file()
        secrets = [_secrets(settings_cls, folder)] if folder else []
        file = [YamlConfigSettingsSource(settings_cls, yaml_file=path)] if path else []
        return (init_settings, env_settings, *secrets, *file, _RunningStack(settings_cls))


def _secrets(settings_cls: type[BaseSettings], folder: Path) -> NestedSecretsSettingsSource:
    plain = SecretsSettingsSource(settings_cls, secrets_dir=folder)
    return NestedSecretsSettingsSource(plain, secrets_prefix="", secrets_nested_delimiter="__")


def secrets_folder() -> Path | None:
    """The folder of secrets; None if there is none.

    Raises:
        SettingsError: ``NEARLINE_SECRETS`` names a folder that is not there.
    """
    named = os.environ.get(SECRETS_VARIABLE)
    if not named:
        return None
    if not Path(named).is_dir():
        raise SettingsError(
            f"{SECRETS_VARIABLE} names {named}, and there is no such folder.",
            way_out="Mount the secrets there, a file each (stream__redis__password), or unset the variable.",
        )
    return Path(named)


def config_file() -> Path | None:
    """The configuration file in force; None if there is none.

    Raises:
        SettingsError: ``NEARLINE_CONFIG`` names a file that is not there.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise SettingsError(
                f"{CONFIG_VARIABLE} names {path}, and there is no such file.",
                way_out="Correct the variable, or unset it to run on the defaults.",
            )
        return path
    return _HOME_FILE if _HOME_FILE.is_file() else None


def load_settings() -> Settings:
    """The settings in force.

    Raises:
        SettingsError: naming each field, what it holds and what was expected.
    """
    source = config_file()
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        )
        raise SettingsError(
            f"The configuration ({source or 'environment'}) is wrong: {problems}.",
            way_out="docs/configuration.md lists every setting.",
        ) from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise SettingsError(
            f"The configuration file {source} cannot be read: {error}.", way_out="It must be a YAML mapping."
        ) from error
