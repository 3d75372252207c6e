"""docs/configuration.md is what the settings say."""

from __future__ import annotations

from pathlib import Path

from console.configuration import configuration_page
from console.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_in_the_docs_is_what_the_settings_generate() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), "run `make docs`"


def test_every_setting_has_a_description() -> None:
    def described(model: type, path: str) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            if not field.description:
                missing.append(f"{path}{name}")
            if hasattr(field.annotation, "model_fields"):
                missing += described(field.annotation, f"{path}{name}.")
        return missing

    assert described(Settings, "") == []


def test_secrets_are_not_printed_with_the_settings() -> None:
    settings = Settings.model_validate({"stream": {"redis": {"url": "redis://user:hunter2@host:1/0"}}})
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
