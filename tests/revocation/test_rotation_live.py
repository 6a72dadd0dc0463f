"""Secrets rotated on three nodes, restarted one at a time with requests going on."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from duck_cookie_session import SessionSettings, SessionStorageConnector, SessionStore
from duck_cookie_session.revocation.redis import RedisRevocationList

pytestmark = pytest.mark.slow

OLD, NEW = "the secret in use until today, 40 letters", "the secret that is to follow it, 40 too.."
COOKIE_AGE = 3600.0


class Nodes:
    """Three nodes behind a load balancer, each with its own connections and its own settings."""

    def __init__(self, url, clock):
        self.url = url
        self.clock = clock
        self.nodes = [self.start((OLD,)) for _ in range(3)]
        self.retired = []

    def start(self, secrets):
        settings = SessionSettings(
            secret_keys=secrets, subject_key="user", cookie_age=COOKIE_AGE, revocation_url=self.url
        )
        return SessionStorageConnector(
            lambda: RedisRevocationList(timeout=10), settings=settings, clock=self.clock
        )

    def restart_each(self, secrets, between):
        """One node after the other gets new settings; `between` waits for requests in between."""
        for number in range(3):
            self.retired.append(self.nodes[number])
            self.nodes[number] = self.start(secrets)
            between()

    def close(self):
        for connector in (*self.nodes, *self.retired):
            connector.close()


def test_nobody_is_logged_out_by_stage_promote_and_retire(redis_server, clock):
    nodes = Nodes(redis_server.url, clock)
    seed = random.SystemRandom().randrange(10**6)
    print("seed:", seed)
    stop = threading.Event()
    done = [0] * 4  # requests, by visitor thread
    turn = threading.Condition()

    def visitor(number):
        """Requests of five people, each with a cart that must only ever grow."""
        chance = random.Random(seed + number)
        people = {}
        while not stop.is_set():
            person = chance.randrange(5)
            token, seen = people.get(person, (None, 0))
            store = SessionStore(token, connector=chance.choice(nodes.nodes))
            assert store.get("n", 0) == seen, "a session was lost"
            if token is None or chance.random() < 0.3:
                store["n"] = seen = seen + 1
                store.setdefault("user", f"user {number} {person}")
            if store.needs_update():
                store.save()
            people[person] = (store.session_key, seen)
            with turn:
                done[number] += 1
                turn.notify_all()
        return people

    def requests_go_on(count=30):
        with turn:
            goal = [now + count for now in done]
            assert turn.wait_for(
                lambda: (
                    any(job.done() for job in jobs)
                    or all(now >= then for now, then in zip(done, goal, strict=True))
                ),
                timeout=300,
            )

    def time_passes(seconds):
        """In steps within which every session is seen, as those of people who stay are."""
        for _ in range(int(seconds // (COOKIE_AGE / 4)) + 1):
            clock.now += COOKIE_AGE / 4
            requests_go_on(100)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(visitor, number) for number in range(4)]
        try:
            requests_go_on()
            nodes.restart_each((OLD, NEW), requests_go_on)  # stage
            nodes.restart_each((NEW, OLD), requests_go_on)  # promote
            time_passes(COOKIE_AGE)
            nodes.restart_each((NEW,), requests_go_on)  # retire
            time_passes(COOKIE_AGE / 2)
        finally:
            stop.set()
        everyone = [job.result() for job in jobs]
    for people in everyone:
        for token, seen in people.values():
            assert nodes.nodes[0].get_session(token)["n"] == seen
    assert sum(map(len, everyone)) == 20
    nodes.close()


def test_promoting_before_every_node_has_staged_is_what_logs_people_out(redis_server, clock):
    """The order matters: the test above could not fail otherwise."""
    nodes = Nodes(redis_server.url, clock)
    nodes.nodes[0] = nodes.start((NEW, OLD))
    token = nodes.nodes[0].set_session(None, {"n": 1})
    assert nodes.nodes[1].get_session(token) is None
    nodes.close()
