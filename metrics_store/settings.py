"""Settings: one frozen value from arguments, the environment and a TOML file, in that order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from metrics_store.errors import InvalidSetting

DEFAULT_DATABASE = Path(".session-buddy") / "skill_metrics.db"
CONFIG_NAME = "metrics_store.toml"

Durability = Literal["full", "normal"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a store is opened.

    Args:
        database: the SQLite file.
        durability: ``full`` keeps every acknowledged record through a power cut; ``normal`` may
            lose the last ones in a power cut, never in a crash of the process.
        busy_timeout: seconds to wait for another process's lock.
        checkpoint_mb: size of the write-ahead log, in MiB, at which it is folded back.
        cache_mb: page cache of each connection, in MiB.
        allow_network_filesystem: open the store even where locks cannot be trusted.
        backup_directory: where backups are put; None is ``NAME.backups`` beside the store.
        slow_ms: calls of the store that take longer, in milliseconds, are noted and logged.
        retention: how long retention leaves rows in the logs, such as ``execution = "180 days"`` or
            ``service = "forever"``, where that is not the family's own time; pairs of name and
            span. ``agent_rollups`` is for the numbers of days and hours that age too.
    """

    database: Path = DEFAULT_DATABASE
    durability: Durability = "full"
    busy_timeout: float = 30.0
    checkpoint_mb: float = 4.0
    cache_mb: float = 8.0
    allow_network_filesystem: bool = False
    backup_directory: Path | None = None
    slow_ms: float = 1000.0
    retention: tuple[tuple[str, str], ...] = ()

    @property
    def backups(self) -> Path:
        """Where backups are put if nobody names another place."""
        if self.backup_directory is not None:
            return self.backup_directory
        # Beside the file itself: who opens it by another name has to find them.
        database = self.database
        if os.path.islink(database):
            database = Path(os.path.realpath(database))
        return database.with_name(f"{database.name}.backups")

    @classmethod
    def load(
        cls,
        database: str | os.PathLike[str] | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **overrides: object,
    ) -> Settings:
        """Put the settings together: arguments win over the environment, that over the TOML file.

        Args:
            database: the SQLite file; None leaves it to the other sources.
            config: a TOML file; by default ``METRICS_STORE_CONFIG``, else ``metrics_store.toml``
                in the working directory if there is one.
            environ: the environment (``METRICS_STORE_DB``, ``METRICS_STORE_DURABILITY``, and so
                on: the setting's name in capitals).
            overrides: settings by name; None means not given.

        Raises:
            InvalidSetting: a name or a value is not usable.
        """
        env = os.environ if environ is None else environ
        values = _from_toml(config if config is not None else env.get("METRICS_STORE_CONFIG"))
        values.update(_from_environment(env))
        values.update({name: value for name, value in overrides.items() if value is not None})
        if database is not None:
            values["database"] = database
        return replace(cls(), **{name: _checked(name, value) for name, value in values.items()})  # type: ignore[arg-type]


_NAMES = tuple(field.name for field in fields(Settings))


def _from_toml(config: str | os.PathLike[str] | None) -> dict[str, object]:
    path = Path(config) if config is not None else Path(CONFIG_NAME)
    if config is None and not path.is_file():
        return {}
    import tomllib  # 10 ms, for those who have a file

    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except (OSError, ValueError) as error:  # not TOML, or not even UTF-8
        raise InvalidSetting(
            f"{path}: {error}", hint="Mend the TOML file or unset METRICS_STORE_CONFIG."
        ) from error
    values = dict(table.get("metrics_store", table))
    for name in ("database", "backup_directory"):
        if isinstance(values.get(name), str):
            # A relative path in a file is meant from where the file lies.
            values[name] = path.parent / _at_home(Path(str(values[name])))
    return values


def _from_environment(env: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {
        name: env[variable]
        for name in _NAMES
        if (variable := f"METRICS_STORE_{name.upper()}") in env and env[variable] != ""
    }
    if env.get("METRICS_STORE_DB"):
        values["database"] = env["METRICS_STORE_DB"]
    return values


def _checked(name: str, value: object) -> object:
    try:
        match name:
            case "database":
                return _database(value)
            case "durability" if value in ("full", "normal"):
                return value
            case "backup_directory":
                return _directory(value)
            case "busy_timeout" | "slow_ms":
                return _number(value, least=0.0)
            case "checkpoint_mb" | "cache_mb":
                return _number(value, least=0.1)
            case "allow_network_filesystem":
                return _flag(value)
            case "retention":
                return _pairs(value)
            case _:
                pass
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidSetting(f"{name} = {str(value)[:80]!r}", hint=str(error)) from error
    if name == "durability":
        raise InvalidSetting(f"durability = {value!r}", hint='It is "full" or "normal".')
    raise InvalidSetting(name, hint=f"The settings are: {', '.join(_NAMES)}.")


def _database(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError("It is the path of a file.")
    path = Path(os.fspath(value))
    if not path.name or "\0" in str(path) or str(path).startswith(":memory:"):
        raise ValueError("It is the path of a file; a store in memory would keep nothing.")
    os.fsencode(path)  # half a character can be in no name
    return _at_home(path)


def _directory(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError("It is the path of a directory.")
    path = Path(os.fspath(value))
    if not os.fspath(value) or "\0" in str(path):
        raise ValueError("It is the path of a directory.")
    os.fsencode(path)
    return _at_home(path)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InvalidSetting(f"{path}: {error}", hint="Write the folder out, without ~.") from error


def _number(value: object, *, least: float) -> float:
    number = float(value) if isinstance(value, (int, float, str)) else float("nan")
    if not least <= number < 1e9:
        raise ValueError(f"It is a number from {least:g} up.")
    return number


def _flag(value: object) -> bool:
    match str(value).lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError("It is true or false.")


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Pairs of a TOML table, or of text such as ``execution = 180 days, service = forever``."""
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {name.strip(): span.strip() for name, _, span in parts}
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(span, str) and span for name, span in value.items()
    ):
        raise TypeError('Such as execution = "180 days", service = "forever".')
    return tuple(value.items())
