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
from console.invalid import problems
from console.web.settings import ConsoleSettings
from index.settings import IndexSettings
from stream.embedded import status
from stream.settings import StreamSettings

__all__ = ["CONFIG_VARIABLE", "SECRETS_VARIABLE", "Settings", "load_settings"]

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
                f"{CONFIG_VARIABLE} names {path}, and {'that is a folder' if path.is_dir() else 'there is no such file'}.",
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
    _check_environment()
    if source is not None:
        _check_file(source)
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(
            f"The configuration ({_where(source)}) is wrong: {problems(error, Settings)}.",
            way_out="docs/configuration.md lists every setting.",
        ) from error
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"The configuration ({_where(source)}) cannot be read: {error}.",
            way_out="Lists and mappings are written as JSON in the environment; see docs/configuration.md.",
        ) from error


def _where(source: Path | None) -> str:
    return f"{source} and environment" if source and _variables() else str(source or "environment")


def _variables() -> list[str]:
    """The variables of the environment that are meant as settings of a room.

    Without two underscores in a row they may be somebody else's: Kubernetes gives every pod NEARLINE_SERVICE_HOST
    where there is a service of that name.
    """
    return sorted(name for name in os.environ if name.upper().startswith("NEARLINE_") and "__" in name)


def _check_environment() -> None:
    rooms = [name for name in Settings.model_fields if name != "run"]
    for name in _variables():
        room = name.lower().removeprefix("nearline_").partition("__")[0]
        if room not in rooms:
            raise SettingsError(
                f"The variable {name} is no setting: there is no {room!r}.",
                way_out=f"After NEARLINE_ comes one of {', '.join(one.upper() for one in rooms)}, then two underscores.",
            )


def _check_file(source: Path) -> None:
    expected = "It must be a YAML mapping; docs/configuration.md lists every setting."
    try:
        found = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"The configuration file {source}{line}, cannot be read: {error.problem or error.context}.",
            way_out=expected,
        ) from error
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise SettingsError(
            f"The configuration file {source} cannot be read: {error}.", way_out=expected
        ) from error
    if found is not None and not isinstance(found, dict):
        raise SettingsError(
            f"The configuration file {source} holds a {type(found).__name__}.", way_out=expected
        )
