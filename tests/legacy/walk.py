"""An operator who walks a migration the whole way, back, and on again, with detours and accidents.

After every command the phase has to be the one that the command leads to: the new one if it ran to
its end, the old one if it was refused, either of them if it was killed on its way.
"""

from __future__ import annotations

import random
import time
from collections import Counter

from crew import CampaignFailed, Crew
from operating import Child, Outcome, Place, work_of

from metrics_store.legacy import control
from metrics_store.legacy.control import PHASES, Control, Phase
from metrics_store.phases import steps
from metrics_store.trackers.candidate import COOL_DOWN

#: Seconds in which the crew has to get on.
STUCK = 60.0
_REASON = "the campaign has waited long enough"

_TO = {"cutover": Phase.DATABASE, "rollback": Phase.DUAL_WRITE, "complete": Phase.COMPLETE}
_DETOURS = {
    Phase.LEGACY: ("dry runs",),
    Phase.DUAL_WRITE: ("back", "backfill", "verify", "reconcile db", "reconcile json", "rehearse"),
    Phase.SHADOW: ("back", "backfill", "verify", "reconcile db", "reconcile json", "rehearse"),
    Phase.DUAL_READ: ("back", "backfill", "verify", "reconcile db", "reconcile json", "dry runs"),
    Phase.DATABASE: ("harvest", "reconcile db", "rehearse", "dry runs"),
    Phase.COMPLETE: ("harvest", "reconcile db", "rehearse", "dry runs"),
}
#: What a legacy tracker that writes at that moment may do to a command, and it is told so.
_BY_LEGACY = ("FileChanging", "TornFile", "NotLegacyFile")


class Walk:
    """A walk from the phase ``legacy`` to ``complete``.

    Args:
        crew: works meanwhile.
        rng: decides.
        laps: how many rollbacks there are.
        detours: how many; more of them while there is time left.
        pause: bytes of notes that the crew writes between two commands, on average.
        until: time.monotonic() before which the walk does not end.
        accidents: how often a command is killed, 0 to 1.
        with_legacy: whether plain legacy trackers are at work.
        patience: refused this often a gate is passed by force.
    """

    def __init__(
        self,
        place: Place,
        crew: Crew,
        rng: random.Random,
        *,
        laps: int,
        detours: int,
        pause: int,
        until: float,
        accidents: float,
        with_legacy: bool,
        patience: int,
    ) -> None:
        self._place = place
        self._crew = crew
        self._rng = rng
        self._laps = laps
        self._detours = detours
        self._pause = pause
        self._until = until
        self._accidents = accidents
        self._with_legacy = with_legacy
        self._patience = patience
        self._refused = 0
        self.forced: Counter[str] = Counter()
        self.commands: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.killed = 0
        #: What happened, in order; shown when something is wrong.
        self.log: list[str] = []

    def go(self) -> None:
        """Walk to the end.

        Raises:
            CampaignFailed: a phase is not the one it has to be, or a command failed.
        """
        self.linger()
        while not self._is_begun():
            self.command("start")
            self.linger()
        while True:
            there = self._there()
            if there.intent is not None:
                self._finish(there)
            elif self._rng.random() < 0.4 and self._has_time():
                self._detours -= 1
                self._detour(there.phase)
            elif there.phase is Phase.COMPLETE and not self._laps:
                if time.monotonic() >= self._until:
                    return
                self._laps = 1
            else:
                self._onward(there)
            self.linger()

    def _is_begun(self) -> bool:
        return control.read(self._place.json_file) is not None

    def _there(self) -> Control:
        there = control.read(self._place.json_file)
        assert there is not None
        return there

    def _has_time(self) -> bool:
        return self._detours > 0 or time.monotonic() < self._until

    def linger(self) -> None:
        """Let the crew get on a little, whatever befalls it meanwhile."""
        wanted = self._crew.size() + self._rng.randrange(1, 2 * self._pause)
        deadline = time.monotonic() + STUCK
        while self._crew.size() < wanted:
            self._meanwhile()
            if time.monotonic() > deadline:
                raise CampaignFailed(f"nobody gets on in {STUCK:g} s")

    def _rest(self) -> None:
        """Wait, in all as long as a tracker leaves a store alone that has failed."""
        until = time.monotonic() + COOL_DOWN / 6
        while time.monotonic() < until:
            self._meanwhile()

    def _meanwhile(self) -> None:
        time.sleep(0.01)
        if self._rng.random() < 0.004:
            self._crew.befall()

    # The way

    def _onward(self, there: Control) -> None:
        match there.phase:
            case Phase.LEGACY:
                self._through_the_gate("advance")
            case Phase.DUAL_WRITE:
                self.command("backfill")
                self._through_the_gate("advance")
            case Phase.SHADOW:
                self._through_the_gate("advance")
            case Phase.DUAL_READ:
                self.command("backfill")
                self.command("verify")
                self.command("rehearse")
                self._through_the_gate("cutover")
            case Phase.DATABASE if self._laps and self._rng.random() < 0.5:
                self._back()
            case Phase.DATABASE:
                self.command("harvest")
                self._through_the_gate("complete")
            case Phase.COMPLETE:
                self._back()

    def _back(self) -> None:
        if self.command("rollback").fine:
            self._laps -= 1

    def _through_the_gate(self, name: str) -> None:
        """Go through a gate if it is met, and after some tries if it is not."""
        if self._there().intent is not None:
            return  # a command before was killed
        outcome = self.command(name)
        self._refused = self._refused + 1 if outcome.error else 0
        if self._refused < self._patience:
            if outcome.error:
                self._rest()
        elif self.command(name, forced=_REASON).fine:
            self.forced.update(_gates_of(outcome))
            self._refused = 0

    def _finish(self, there: Control) -> None:
        """Resume or cancel what was cut short."""
        assert there.intent is not None
        forced = None
        if self._refused >= self._patience:
            forced = _REASON
        if there.intent.committed or self._rng.random() < 0.6:
            outcome = self.command("resume", forced=forced)
            self.forced["resume"] += outcome.fine and forced is not None
            self._refused = self._refused + 1 if outcome.error else 0
            if outcome.fine and there.intent.command == "rollback":
                self._laps -= 1
        else:
            self.command("cancel")

    def _detour(self, phase: Phase) -> None:
        chance = self._rng.random()
        if chance < 0.15 and phase is not Phase.LEGACY:
            held = Child("hold", work_of("hold", self._place), self._place)
            held.outcome(self._meanwhile)
            return
        name = self._rng.choice(_DETOURS[phase])
        if chance < 0.3:
            self._rivals(name)
        else:
            self.command(name)

    def _rivals(self, name: str) -> None:
        """Two operators give the same command at once."""
        before = self._there()
        both = [Child(name, work_of(name, self._place), self._place) for _ in range(2)]
        outcomes = [child.outcome(self._meanwhile) for child in both]
        for outcome in outcomes:
            if outcome.error not in ("", "OperatorBusy", "LegacyFileError", "WrongPhase"):
                self._check_error(outcome)
        if not any(outcome.fine for outcome in outcomes):
            self._note(f"rivals {name}: {outcomes}")
        n = PHASES.index(before.phase)
        allowed = {before.phase, *PHASES[max(0, n - 2) : n]} if name == "back" else {before.phase}
        self._expect(allowed, f"rivals at {name}")

    # A command

    def command(self, name: str, *, forced: str | None = None) -> Outcome:
        """Give a command, wait for it, and look where that has led."""
        before = control.read(self._place.json_file)
        kill_after, failpoint = self._accident(name)
        child = Child(name, work_of(name, self._place, forced), self._place, failpoint)
        began = time.monotonic()
        killing = [kill_after] if kill_after else []

        def meanwhile() -> None:
            self._meanwhile()
            if killing and time.monotonic() - began > killing[0]:
                killing.clear()
                child.kill()

        outcome = child.outcome(meanwhile)
        self.commands[name] += 1
        self.killed += outcome.killed
        took = time.monotonic() - began
        self._note(f"{name} {failpoint} {forced or ''} {took:.2f} s: {outcome}")
        if outcome.error:
            self.errors[outcome.error] += 1
            self._check_error(outcome)
        self._check_told(outcome)
        if before is None:
            self._expect({Phase.LEGACY}, name, or_none=not outcome.fine)
        else:
            self._expect(_allowed(name, before, outcome), name)
        return outcome

    def _accident(self, name: str) -> tuple[float, str]:
        """After how many seconds a command is killed, or after which step; 0 and "" if not."""
        if self._rng.random() >= self._accidents or name in ("dry runs", "verify", "rehearse"):
            return 0.0, ""
        if self._rng.random() < 0.5:
            return self._rng.uniform(0.005, 0.5), ""
        command = name.split()[0]
        if command == "resume":
            command = self._rng.choice(("cutover", "rollback"))
        return 0.0, f"{command}.{self._rng.choice(steps.STEPS[command])}"

    def _check_error(self, outcome: Outcome) -> None:
        allowed = ["GateNotMet", *(_BY_LEGACY if self._with_legacy else ())]
        if outcome.error not in allowed:
            raise CampaignFailed(f"{outcome.command} failed: {outcome.error}: {outcome.detail}")

    def _check_told(self, outcome: Outcome) -> None:
        """What a backfill has taken in is in the store; a torn file is a legacy tracker's doing.

        A verify does find what is written to the JSON file alone, and what has ended there since.
        """
        told = outcome.told
        if outcome.command != "backfill" or (told.get("torn") and self._with_legacy):
            return
        if outcome.fine and not told["fine"]:
            raise CampaignFailed(f"{outcome.command} found {told}")

    def _expect(self, allowed: set[Phase], what: str, *, or_none: bool = False) -> None:
        there = control.read(self._place.json_file)
        if there is None and or_none:
            return
        if there is None or there.phase not in allowed:
            phase = "no phase" if there is None else there.phase
            raise CampaignFailed(f"{what} led to {phase}, not to {allowed}")

    def _note(self, text: str) -> None:
        self.log.append(text[:2000])


def _allowed(name: str, before: Control, outcome: Outcome) -> set[Phase]:
    to = before.phase
    n = PHASES.index(before.phase)
    if name == "advance":
        to = PHASES[n + 1]
    elif name == "back":
        to = PHASES[n - 1]
    elif name == "resume":
        assert before.intent is not None
        to = _TO[before.intent.command]
    elif name in _TO:
        to = _TO[name]
    if outcome.killed:
        return {before.phase, to}
    return {to} if outcome.fine else {before.phase}


def _gates_of(outcome: Outcome) -> list[str]:
    """The names of the gates that were not met."""
    if outcome.error != "GateNotMet":
        return [outcome.error]
    gates = [gate.split(":")[0] for gate in outcome.detail.partition(": ")[2].split("; ")]
    return ["cutover's own verify" if "the verify found" in gate else gate for gate in gates]
