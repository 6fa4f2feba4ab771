"""For how long rows and rollups are kept: what the families say, and what the settings change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metrics_store import clock, families, windows
from metrics_store.errors import InvalidSetting, MetricsStoreError
from metrics_store.families import Family

_DAY = 86_400
#: A setting of this name and ending is for the rollups of a family that age.
_ROLLUPS = "_rollups"
_FOR_EVER = ("forever", "for ever")


@dataclass(frozen=True, slots=True)
class Policy:
    """What retention does in one family.

    Args:
        family: whose log it is.
        days: how long rows stay; None for ever.
        rollup_days: how long the rollups that age stay, those of each :class:`Aged`; None for ever.
    """

    family: Family
    days: float | None
    rollup_days: tuple[float | None, ...]

    def before_at(self, now_us: int) -> str | None:
        """The moment before which rows go, UTC text; None if all stay.

        Args:
            now_us: microseconds since 1970.
        """
        return None if self.days is None else _ago(now_us, self.days)

    def periods_before(self, now_us: int) -> tuple[str | None, ...]:
        """The day before which rollups go, for each kind that ages; None if they stay."""
        return tuple(None if d is None else _ago(now_us, d)[:10] for d in self.rollup_days)


def chosen(
    settings: Iterable[tuple[str, str]], keep: Mapping[str, str] | None
) -> tuple[Policy, ...]:
    """What is done in each family by the settings, and by what one call says otherwise.

    Raises:
        InvalidSetting: as :func:`policies`.
    """
    if not isinstance(keep, Mapping | None):
        raise InvalidSetting(f"retention: {keep!r:.60}", hint='Such as {"execution": "180 days"}.')
    return policies({**dict(settings), **(keep or {})})


def policies(settings: Mapping[str, str]) -> tuple[Policy, ...]:
    """What is done in each family.

    Args:
        settings: spans by the name of a family, or by that and ``_rollups``; they win over what
            the families say themselves.

    Raises:
        InvalidSetting: a name or a span makes no sense, or rollups would go before their rows.
    """
    found, known = [], set[str]()
    for family in families.FAMILIES:
        keep = family.keep
        known |= {family.name, *([family.name + _ROLLUPS] if keep.aged else [])}
        days: float | None = keep.days
        if family.name in settings:
            days = _days(family.name, settings[family.name])
        rollup_days = tuple[float | None, ...](aged.days for aged in keep.aged)
        name = family.name + _ROLLUPS
        if keep.aged and name in settings:
            rollup_days = (_days(name, settings[name]),) * len(keep.aged)
        for own in rollup_days:
            if own is not None and (days is None or own < days):
                raise InvalidSetting(
                    f"retention: {name} is shorter than {family.name}",
                    hint="Numbers are kept at least as long as the rows they are made of.",
                )
        found.append(Policy(family, days, rollup_days))
    if unknown := [name for name in settings if name not in known]:
        raise InvalidSetting(
            f"retention: {unknown[0]!r:.60}", hint=f"There are: {', '.join(sorted(known))}."
        )
    return tuple(found)


def _days(name: str, span: object) -> float | None:
    if isinstance(span, str) and span.strip().lower() in _FOR_EVER:
        return None
    try:
        if not isinstance(span, str):  # a number would be seconds, and is meant to be days
            raise InvalidSetting("it is no text")
        return windows.seconds(span) / _DAY
    except MetricsStoreError as error:
        raise InvalidSetting(
            f"retention: {name} = {span!r:.60}", hint="Such as '180 days', or 'forever'."
        ) from error


def _ago(now_us: int, days: float) -> str:
    return clock.text(max(clock.MIN_US, now_us - round(days * _DAY * clock.MICROSECONDS)))
