"""Settings: arguments win over the environment, and that over the TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics_store import MetricsStore, Settings, get_store
from metrics_store.errors import InvalidSetting


def _toml(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_classic_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(environ={})
    assert settings == Settings()
    assert settings.database == Path(".session-buddy/skill_metrics.db")
    assert settings.durability == "full"


def test_the_default_store_is_made_under_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    MetricsStore().record_invocation("deploy")
    folder = tmp_path / ".session-buddy"
    assert (folder / "skill_metrics.db").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_arguments_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = _toml(
        tmp_path / "c.toml",
        'database = "toml.db"\nbusy_timeout = 1\ncheckpoint_mb = 2\ncache_mb = 3\n',
    )
    environ = {"METRICS_STORE_BUSY_TIMEOUT": "10", "METRICS_STORE_CHECKPOINT_MB": "20"}
    settings = Settings.load(config=config, environ=environ, busy_timeout=100)
    assert (settings.busy_timeout, settings.checkpoint_mb, settings.cache_mb) == (100, 20, 3)
    assert settings.database == tmp_path / "toml.db"
    environ["METRICS_STORE_DB"] = "env.db"
    assert Settings.load(config=config, environ=environ).database == Path("env.db")
    assert Settings.load("arg.db", config=config, environ=environ).database == Path("arg.db")


def test_the_file_in_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _toml(tmp_path / "metrics_store.toml", '[metrics_store]\ndurability = "normal"\n')
    assert Settings.load(environ={}).durability == "normal"


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    config = _toml(tmp_path / "c.toml", "busy_timeout = 7\n")
    assert Settings.load(environ={"METRICS_STORE_CONFIG": str(config)}).busy_timeout == 7


def test_the_home_directory_is_found_in_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = _toml(tmp_path / "c.toml", 'database = "~/m.db"\n')
    wanted = tmp_path / "m.db"
    assert Settings.load("~/m.db", environ={}).database == wanted
    assert Settings.load(environ={"METRICS_STORE_DB": "~/m.db"}).database == wanted
    assert Settings.load(config=config, environ={}).database == wanted


def test_a_home_directory_that_nobody_has_is_refused(tmp_path: Path) -> None:
    config = _toml(tmp_path / "c.toml", 'database = "~no-such-user/m.db"\n')
    for load in (
        lambda: Settings.load("~no-such-user/m.db", environ={}),
        lambda: Settings.load("m.db", environ={}, backup_directory="~no-such-user"),
        lambda: Settings.load(config=config, environ={}),
    ):
        with pytest.raises(InvalidSetting, match="no-such-user"):
            load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("durability", "perhaps"),
        ("busy_timeout", "soon"),
        ("busy_timeout", -1),
        ("busy_timeout", float("nan")),
        ("busy_timeout", float("inf")),
        ("busy_timeout", 10**400),
        ("checkpoint_mb", 0),
        ("cache_mb", []),
        ("allow_network_filesystem", "maybe"),
        ("durabillity", "full"),
    ],
)
def test_an_unusable_setting_is_refused_with_a_hint(name: str, value: object) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Settings.load(environ={}, **{name: value})
    assert caught.value.hint
    assert name in str(caught.value)


@pytest.mark.parametrize("database", ["", ":memory:", "a\0b", "/", 5])
def test_a_database_that_is_no_file_is_refused(database: object) -> None:
    with pytest.raises(InvalidSetting):
        Settings.load(database, environ={})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["no = ", "durability = 5", "wrong = 1", "database = 5"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSetting):
        Settings.load(config=_toml(tmp_path / "c.toml", text), environ={})


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting):
        Settings.load(config=tmp_path / "c.toml", environ={})


@pytest.mark.parametrize(("text", "flag"), [("1", True), ("Yes", True), ("off", False)])
def test_flags_are_read_from_text(text: str, flag: bool) -> None:
    environ = {"METRICS_STORE_ALLOW_NETWORK_FILESYSTEM": text}
    assert Settings.load(environ=environ).allow_network_filesystem is flag


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    environ = {"METRICS_STORE_DB": "", "METRICS_STORE_DURABILITY": ""}
    assert Settings.load(environ=environ) == Settings()


def test_get_store_gives_one_store_per_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("m.db")
    store = get_store(tmp_path / "m.db")
    assert get_store(tmp_path / "link.db") is store
    assert get_store(tmp_path / "other.db") is not store
    store.close()
    again = get_store(tmp_path / "m.db")
    assert again is not store
    assert again.get_all_metrics() == {}
