"""The provider's keys: which of them count, and when they are asked for again."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from duck_cookie_session import InvalidArgument, MemoryRevocationList
from tests.helpers import Clock

pytest.importorskip("joserfc", reason="joserfc is missing (extra `oidc`)")

from duck_cookie_session.contrib._oidc_keys import ASK_AGAIN, KEEP, ProviderKeys, keys_of
from duck_cookie_session.contrib.oidc import LogoutReceiver
from tests.helpers import Node
from tests.helpers.identity import CLIENT, GROUP_KEYS, ISSUER, IdentityProvider, ec, rsa

MakeNode = Callable[..., Node]
LIST = MemoryRevocationList()


@pytest.fixture
def provider(clock: Clock) -> IdentityProvider:
    return IdentityProvider(clock)


@pytest.fixture
def receiver(make_node: MakeNode, clock: Clock, provider: IdentityProvider) -> LogoutReceiver:
    node = make_node(MemoryRevocationList(clock), group_keys=GROUP_KEYS)
    return LogoutReceiver(ISSUER, CLIENT, provider.fetch, node.connector)


def status(receiver: LogoutReceiver, provider: IdentityProvider, **said: Any) -> int:
    return receiver.receive(*provider.message(sid="s1", **said)).status


# When they are asked for.


def test_they_are_asked_for_with_the_first_token_and_not_before(
    receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    assert provider.asked == 0
    assert [status(receiver, provider) for _ in range(3)] == [200] * 3
    assert provider.asked == 1


def test_a_key_that_is_not_known_has_them_asked_for_again(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    clock.now += ASK_AGAIN
    provider.keys = [ec("new"), ec("one")]
    assert status(receiver, provider) == 200
    assert status(receiver, provider, key=ec("one")) == 200
    assert provider.asked == 2


def test_a_provider_that_names_no_key_can_change_it_too(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    nameless = {"header": {"kid": None}}
    assert status(receiver, provider, **nameless) == 200
    clock.now += ASK_AGAIN
    provider.keys = [ec("new")]
    assert status(receiver, provider, **nameless) == 200
    assert provider.asked == 2


def test_junk_does_not_have_them_asked_for_more_than_once_in_a_while(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    for seconds, asked in [(ASK_AGAIN - 1, 1), (1, 2), (ASK_AGAIN - 1, 2), (1, 3)]:
        clock.now += seconds
        for _ in range(3):
            assert status(receiver, provider, key=ec("theirs")) == 400
        assert provider.asked == asked


def test_a_wrong_signature_under_a_known_name_asks_nobody(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    clock.now += ASK_AGAIN
    assert status(receiver, provider, key=ec("theirs"), header={"kid": "one"}) == 400
    assert provider.asked == 1


def test_a_key_that_was_withdrawn_stops_counting_within_an_hour(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    provider.keys = [ec("new")]
    clock.now += KEEP - 1
    assert status(receiver, provider, key=ec("one")) == 200
    clock.now += 1
    assert status(receiver, provider, key=ec("one")) == 400
    assert status(receiver, provider) == 200
    assert provider.asked == 2


def test_a_key_that_was_withdrawn_counts_no_longer_for_a_fetch_that_failed(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    provider.keys, provider.down = [ec("new")], True
    clock.now += KEEP
    assert status(receiver, provider, key=ec("one")) == 200  # nobody can know yet
    provider.down = False
    clock.now += ASK_AGAIN
    assert status(receiver, provider, key=ec("one")) == 400


def test_a_clock_that_was_set_back_does_not_keep_them_from_being_asked_for(
    receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    status(receiver, provider)
    clock.now -= 3_600
    provider.keys = [ec("new")]
    assert status(receiver, provider) == 200


def test_a_provider_that_does_not_answer_keeps_the_keys_that_it_had(
    receiver: LogoutReceiver,
    provider: IdentityProvider,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    status(receiver, provider)
    clock.now += KEEP
    provider.down = True
    assert status(receiver, provider) == 200
    assert "The provider's keys can't be had: OSError: The provider of this test" in caplog.text
    assert status(receiver, provider, key=ec("new")) == 503  # it may be the provider's
    clock.now += ASK_AGAIN
    provider.down = False
    provider.keys = [ec("new")]
    assert status(receiver, provider) == 200


@pytest.mark.parametrize("given", [{}, {"keys": []}, [], None, "text", {"keys": "text"}])
def test_an_answer_that_is_no_set_of_keys(
    make_node: MakeNode, clock: Clock, provider: IdentityProvider, given: Any
) -> None:
    node = make_node(MemoryRevocationList(clock), group_keys=GROUP_KEYS)
    receiver = LogoutReceiver(ISSUER, CLIENT, lambda: given, node.connector)
    assert status(receiver, provider) == 503


# Many at once.


def test_many_threads_that_wait_are_one_question(clock: Clock, provider: IdentityProvider) -> None:
    release = threading.Event()
    asked = []

    def fetch() -> dict[str, Any]:
        asked.append(threading.current_thread().daemon)
        release.wait(30)
        return provider.jwks

    keys = ProviderKeys(fetch, clock)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(keys.ask, LIST) for _ in range(8)]
        assert not any(one.done() for one in waiting)
        release.set()
        for one in waiting:
            one.result()
    assert asked == [True]
    assert len(keys.known) == 1


def test_many_coroutines_wait_without_a_thread_each_and_one_may_be_cancelled(
    clock: Clock, provider: IdentityProvider
) -> None:
    release = threading.Event()

    def fetch() -> dict[str, Any]:
        release.wait(30)
        return provider.fetch()

    keys = ProviderKeys(fetch, clock)

    async def ask() -> int:
        waiting = [asyncio.create_task(keys.aask(LIST)) for _ in range(50)]
        await asyncio.sleep(0)
        threads = threading.active_count()
        waiting[0].cancel()
        await asyncio.sleep(0)
        release.set()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in done] == [asyncio.CancelledError] + [type(None)] * 49
        return threads

    before = threading.active_count()
    assert asyncio.run(ask()) == before + 1
    assert (provider.asked, len(keys.known)) == (1, 1)


@pytest.mark.parametrize("awaited", [False, True])
def test_an_answer_that_never_comes_is_given_up(
    clock: Clock,
    provider: IdentityProvider,
    awaited: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    answers = [lambda: release.wait(30), provider.fetch]
    keys = ProviderKeys(lambda: answers.pop(0)(), clock, wait=0.01)

    def ask() -> None:
        if awaited:
            asyncio.run(keys.aask(LIST))
        else:
            keys.ask(LIST)

    ask()
    assert keys.failed
    assert "have not come within 0.01 seconds" in caplog.text
    clock.now += ASK_AGAIN
    keys._wait = 10
    ask()
    assert not keys.failed
    assert len(keys.known) == 1
    release.set()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # that is the test
def test_a_late_answer_does_not_take_the_place_of_a_newer_one(
    clock: Clock, provider: IdentityProvider
) -> None:
    release = threading.Event()
    hanging = []

    def hang() -> dict[str, Any]:
        hanging.append(threading.current_thread())
        old = provider.jwks
        release.wait(30)
        return old

    answers = [hang, provider.fetch]
    keys = ProviderKeys(lambda: answers.pop(0)(), clock, wait=0.01)
    keys.ask(LIST)
    clock.now += ASK_AGAIN
    provider.keys = [ec("new")]
    keys._wait = 10
    keys.ask(LIST)
    release.set()
    hanging[0].join(30)
    assert [key.key_id for key in keys.known] == ["new"]
    assert not keys.failed


def test_a_fork_while_they_are_under_way(clock: Clock, provider: IdentityProvider) -> None:
    """The child has no thread that would bring them, so it asks by itself."""
    begun, release = threading.Event(), threading.Event()
    parent = os.getpid()

    def fetch() -> dict[str, Any]:
        if os.getpid() == parent:
            begun.set()
            release.wait(30)
        return provider.jwks

    keys = ProviderKeys(fetch, clock)
    waiting = threading.Thread(target=keys.ask, args=(LIST,))
    waiting.start()
    begun.wait(30)
    child = os.fork()
    if child == 0:
        keys.ask(LIST)
        os._exit(0 if len(keys.known) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    release.set()
    waiting.join()
    assert len(keys.known) == 1


# Which of them count.


def test_keys_for_other_things_are_passed_over() -> None:
    good = ec("good").as_dict(private=False)
    others: list[Any] = [
        {**ec("a").as_dict(private=False), "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "x": good["x"], "y": good["y"]},
        {"kty": "EC", "crv": "P-256", "x": good["x"], "y": good["x"]},  # not on the curve
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2},
        {"kty": "EC"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": rsa("big").as_dict(private=False)["n"]},
        {"kty": ["RSA"]},
        {**good, "kid": 7},
        {**good, "alg": "RS256"},
        {},
        "text",
        None,
    ]
    assert [key.key_id for key in keys_of({"keys": [*others, good]})] == ["good"]
    with pytest.raises(InvalidArgument, match="None of the 16 keys"):
        keys_of({"keys": others})


def test_the_private_part_of_a_key_is_left_where_it_is() -> None:
    (key,) = keys_of({"keys": [rsa("two").as_dict(private=True)]})
    assert not key.public.is_private


def test_a_coroutine_function_is_refused_at_once(clock: Clock) -> None:
    async def fetch() -> dict[str, Any]:
        return {}

    with pytest.raises(InvalidArgument, match="keys is a coroutine function; give a plain one"):
        ProviderKeys(fetch, clock)


def test_what_went_wrong_is_a_warning(
    receiver: LogoutReceiver, provider: IdentityProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.down = True
    assert status(receiver, provider) == 503
    assert [
        record.levelno for record in caplog.records if "can't be had: OSError" in record.message
    ] == [logging.WARNING]
