from __future__ import annotations

import threading
import tracemalloc

from duck_cookie_session.session.token_cache import TokenCache
from tests.helpers import DAY, Clock, Node

ROOM = 1_000_000


def cache_of(most: int, most_bytes: int = ROOM) -> TokenCache[int]:
    return TokenCache(most, most_bytes)


def test_what_was_put_is_found() -> None:
    cache = cache_of(4)
    cache.put("a", 1, 10)
    assert cache.get("a") == 1
    assert cache.get("b") is None


def test_the_oldest_leave_when_there_is_no_room() -> None:
    cache = cache_of(4)
    for number, token in enumerate("abcde"):
        cache.put(token, number, 10)
    assert [cache.get(token) for token in "abcde"] == [None, None, 2, 3, 4]
    assert len(cache) <= 4


def test_the_oldest_leave_when_their_bytes_are_too_many() -> None:
    cache = cache_of(1_000, most_bytes=1_000)
    for number in range(100):
        cache.put(str(number), number, 100)
        assert len(cache) <= 10
    assert cache.get("99") == 99


def test_what_is_larger_than_half_of_the_room_is_not_kept() -> None:
    cache = cache_of(1_000, most_bytes=1_000)
    cache.put("small", 1, 100)
    cache.put("large", 2, 501)
    assert (cache.get("small"), cache.get("large")) == (1, None)


def test_putting_again_replaces() -> None:
    cache = cache_of(4)
    for number, token in enumerate("aba"):
        cache.put(token, number, 10)
    assert (cache.get("a"), cache.get("b")) == (2, 1)


def test_size_zero_keeps_nothing() -> None:
    cache = cache_of(0, 0)
    cache.put("a", 1, 10)
    assert cache.get("a") is None


def test_discarded_and_cleared() -> None:
    cache = cache_of(6)
    for token in "abc":
        cache.put(token, 1, 10)
    cache.discard("a")
    cache.discard("never there")
    assert cache.get("a") is None
    cache.clear()
    assert len(cache) == 0
    assert cache.get("b") is None


def test_never_more_than_its_size_with_many_threads() -> None:
    cache = cache_of(10)

    def work(thread: int) -> None:
        for number in range(500):
            cache.put(f"{thread}-{number}", number, 10)
            cache.discard(f"{thread}-{number - 3}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) <= 10 + len(threads)  # each may have been about to put one


# In use: a kept token is judged as one that was just opened.


def cached_reads(node: Node) -> object:
    return node.connector.stats()["read_from_cache"]


def test_a_token_is_decrypted_once(node: Node) -> None:
    token = node.start(a=[1])
    first, second = node.read(token), node.read(token)
    assert first == second == {"a": [1]}
    assert cached_reads(node) == 2  # sealed here, so known from the start


def test_each_read_gives_its_own_objects(node: Node) -> None:
    token = node.start(a=[1])
    first = node.read(token)
    assert first is not None
    first["a"].append(2)
    assert node.read(token) == {"a": [1]}


def test_a_kept_token_expires(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=60)
    assert node.read(token)
    clock.tick(60)
    assert node.read(token) is None
    clock.tick(-1)
    assert node.read(token)  # the clock was set back: opened anew, and not expired


def test_a_kept_token_is_revoked(node: Node, other: Node) -> None:
    token = node.start(a=1)
    assert node.read(token)
    other.connector.delete_session(token)
    assert node.read(token) is None
    assert node.connector.stats()["refused"]["ended"] == 1  # type: ignore[index,call-overload]  # a dict there


def test_a_refused_token_is_not_kept(node: Node, other: Node, clock: Clock) -> None:
    """Nothing of it stays in memory, and a second try goes the whole way again."""
    revoked = node.start(a=1)
    expired = node.connector.set_session(None, {"a": 1}, expiry=1)
    other.connector.delete_session(revoked)
    clock.tick(2)
    for token in (revoked, expired):
        node.read(token)
        before = cached_reads(node)
        assert node.read(token) is None
        assert cached_reads(node) == before


def test_a_kept_token_ends_by_its_absolute_age(make_node, revocations, clock: Clock) -> None:
    node = make_node(revocations, absolute_age=2 * DAY, cookie_age=2 * DAY)
    token = node.start(a=1)
    clock.tick(2 * DAY)
    assert node.read(token) is None


def test_without_a_cache_all_is_the_same(make_node, revocations) -> None:
    node = make_node(revocations, token_cache_size=0)
    token = node.start(a=1)
    assert node.read(token) == node.read(token) == {"a": 1}
    assert cached_reads(node) == 0


def test_closing_forgets_what_was_kept(node: Node) -> None:
    token = node.start(a=1)
    node.connector.close()
    assert node.read(token) == {"a": 1}
    assert cached_reads(node) == 0


def test_what_compression_blows_up_is_bounded_in_bytes(make_node, revocations) -> None:
    """Else one visitor fills the memory: 1.6 KB of cookie make 1 MB of data."""
    most = 64
    node = make_node(revocations, compress=True, token_cache_size=most)
    text = "x" * 60_000
    node.start(text=text)  # the packer keeps its buffer
    tracemalloc.start()
    for number in range(most):
        token = node.start(number=number, text=text)
        assert len(token) < 1_000
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < most * 4_096
    before = cached_reads(node)
    node.read(token)
    assert cached_reads(node) == before + 1  # what fits is kept
