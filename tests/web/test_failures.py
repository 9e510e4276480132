"""Wrong tokens are counted by who sends them (RULES S3)."""

from __future__ import annotations

from syncd.web.failures import AT_MOST, WITHIN, WrongTokens


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _fail(wrong: WrongTokens, address: str, times: int = AT_MOST) -> list[bool]:
    return [wrong.count(address) for _ in range(times)]


def test_the_pause_ends_when_the_first_of_them_is_a_minute_old() -> None:
    """The last one that was allowed is told; afterwards nobody counts, and time alone helps."""
    clock = Clock()
    wrong = WrongTokens(monotonic=clock)
    assert _fail(wrong, "192.0.2.1") == [False] * (AT_MOST - 1) + [True]
    assert wrong.pause("192.0.2.1") == WITHIN
    assert wrong.pause("192.0.2.2") == 0
    clock.now += WITHIN
    assert wrong.pause("192.0.2.1") == 0


def test_now_and_then_a_wrong_one_is_no_guessing() -> None:
    """A colleague with an old token, every quarter of a minute, locks nobody out."""
    clock = Clock()
    wrong = WrongTokens(monotonic=clock)
    for _ in range(10 * AT_MOST):
        wrong.count("192.0.2.1")
        assert wrong.pause("192.0.2.1") == 0
        clock.now += 15


def test_one_subscriber_of_ipv6_is_one() -> None:
    """Somebody with 2^64 addresses has not as many guesses."""
    wrong = WrongTokens()
    for number in range(AT_MOST):
        wrong.count(f"2001:db8::{number:x}")
    assert wrong.pause("2001:db8::ffff")
    assert not wrong.pause("2001:db8:0:1::1")


def test_ipv4_behind_a_socket_of_both_families_is_not_one_subscriber() -> None:
    """Bound to `::`, the daemon sees `::ffff:192.0.2.1`; as one /64, one guesser would lock out everybody."""
    wrong = WrongTokens()
    _fail(wrong, "::ffff:192.0.2.1")
    assert wrong.pause("::ffff:192.0.2.1")
    assert wrong.pause("192.0.2.1")
    assert not wrong.pause("::ffff:192.0.2.2")
    assert not wrong.pause("::1")


def test_a_million_addresses_take_no_more_memory_than_a_thousand() -> None:
    """Those that failed last are remembered."""
    wrong = WrongTokens()
    for number in range(3000):
        wrong.count(f"host-{number}")
    assert len(wrong._failures) == 1000
    assert "host-2999" in wrong._failures
