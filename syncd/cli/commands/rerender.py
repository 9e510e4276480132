"""What rendering again would do, in words: for `check` and `resync --dry-run` (RULES B3, POLICY__RERENDER)."""

from __future__ import annotations

from collections.abc import Iterator

from syncd.cli.oneshot import bar
from syncd.errors import SyncdError
from syncd.ledger.ledger import Ledger
from syncd.loop.commands.foresight import SAMPLE, Foresight, foreseen
from syncd.loop.connect import HOLD, Site, connect_dry

_BECOME = {"park": "parked", "wait": "waited for", "retract": "taken back", "create": "created anew"}


def describe_rerender(site: Site, ledger: Ledger, *, outdated: int) -> Iterator[str]:
    """Sentences of how many studies there are and what a sample of them shows; none where there are none."""
    if not outdated:
        return
    if site.rerender == HOLD:
        yield (
            f"{outdated} published studies are held as an earlier version or other settings rendered them: "
            "SYNCD_POLICY__RERENDER=auto lets them go"
        )
    else:
        yield (
            f"{outdated} published studies will be rendered again: the version or the settings changed "
            "(SYNCD_POLICY__RERENDER=hold keeps them as they are)"
        )
    try:
        yield _describe_sample(site, ledger, outdated=outdated)
    except SyncdError as error:
        yield f"what would change of them cannot be told: {error}"


def _describe_sample(site: Site, ledger: Ledger, *, outdated: int) -> str:
    with bar() as shown:
        task = shown.add_task("studies rendered both ways", total=min(SAMPLE, outdated))
        seen = foreseen(connect_dry(site, ledger), progress=lambda seen: shown.update(task, completed=seen.looked_at))
    return sample_in_words(seen)


def sample_in_words(seen: Foresight) -> str:
    """The sample in one sentence."""
    of = "all looked at" if seen.looked_at == seen.outdated else f"{seen.looked_at} of them looked at"
    if not seen.changing:
        changing = "none would change in FHIR"
    else:
        about = "" if seen.looked_at == seen.outdated else f", about {seen.expected_changes} of all"
        names = ", ".join(f"{name} ({number})" for name, number in sorted(seen.elements.items(), key=_most_first))
        changing = f"{seen.changing} would change in FHIR{about}: {names}"
    others = [f"{number} {_others(word)}" for word, number in sorted(seen.others.items()) if number]
    return "; ".join([f"{of}: {changing}", *others])


def _others(word: str) -> str:
    return f"would be {_BECOME[word]}" if word in _BECOME else "could not be looked at"


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    name, number = item
    return -number, name
