"""Faults in who we are to a server (RULES C6, S1 to S3)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_TOKENS, _TESTS = "syncd/auth/tokens.py", "tests/auth/test_tokens.py"

MUTANTS = (
    Mutant(
        name="everybody-waits-out-a-dead-giver",
        rule="C6",
        breaks="each worker asks a dead authorization server by itself",
        edits=(
            Edit(
                _TOKENS,
                "            if self._failure is not None and self._monotonic() - self._failed_at < FAILURE_HOLDS:\n",
                "            if False:\n",
            ),
        ),
        noticed_by=(f"{_TESTS}::test_a_failure_is_everybodys_for_a_second",),
    ),
    Mutant(
        name="renewal-fails-the-request",
        rule="C6",
        breaks="an authorization server that is away stops the work although the token still holds",
        edits=(Edit(_TOKENS, "            return current\n        finally:\n", "            raise\n        finally:\n"),),
        noticed_by=(f"{_TESTS}::test_an_outage_is_not_noticed_while_the_token_holds",),
    ),
    Mutant(
        name="another-threads-token-forgotten",
        rule="C6",
        breaks="a token that was fetched meanwhile is thrown away for an old one that was refused",
        edits=(
            Edit(
                _TOKENS,
                "            if self._current is not None and self._current.token.value == value:\n",
                "            if self._current is not None:\n",
            ),
        ),
        noticed_by=(f"{_TESTS}::test_the_token_of_another_thread_is_not_forgotten",),
    ),
    Mutant(
        name="secret-sent-without-tls",
        rule="S3",
        breaks="an https server sends us, and our secret, to an http address",
        edits=(
            Edit(
                "syncd/auth/discovery.py",
                '    if urlsplit(url).scheme not in ("https", urlsplit(base_url).scheme) or not urlsplit(url).hostname:\n',
                "    if not urlsplit(url).hostname:\n",
            ),
        ),
        noticed_by=(f"{_TESTS}::test_a_configuration_that_cannot_be_used_is_told",),
    ),
)
