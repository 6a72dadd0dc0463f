"""The life of a session that is bound to its browser, the same under every adapter."""

from __future__ import annotations

import json
from itertools import product

import pytest

from tests.device.conftest import World
from tests.device.sites import NAME
from tests.device.stories import (
    KEY,
    LINK,
    OFFER,
    PROOF,
    PROOF_AGE,
    ROOT,
    SESSION,
    VISITOR,
    kind_of,
    nothing_set,
    only,
    only_session,
    shown,
    state,
    stolen,
    who,
)
from tests.helpers import OTHER_SECRET, SECRET
from tests.helpers.device_browser import RENEWED_BEFORE, Answer, Send, signed

BOTH = list(product(["page", "registration"], repeat=2))
"""Which of two requests is served first, and the answer of which arrives first."""


def test_a_login_offers_and_nothing_else_does(world: World) -> None:
    browser = world.browser()
    for path, offered in [
        ("/", False),
        ("/write", False),
        ("/login/ada", True),
        ("/write", False),
        ("/cycle", False),
    ]:
        assert (browser.ask(path).one(OFFER) is not None) is offered, path


def test_registration_first_proof_and_renewal(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    (token, _), (offer,) = browser.cookies[NAME], browser.offers
    assert offer.path == ROOT + "/registration"
    answer = browser.send_registration(offer)
    assert answer.status == 200
    browser.registered(offer, answer)
    told = json.loads(answer.body)
    name = next(name for name in browser.cookies if kind_of(name) == PROOF)
    assert told == {
        "session_identifier": only(browser).identifier,
        "refresh_url": ROOT + "/refresh",
        "scope": {"include_site": False},
        "credentials": [
            {
                "type": "cookie",
                "name": name,
                "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax",
            }
        ],
    }
    assert name == f"{NAME}-proof-{only(browser).identifier[:8]}"
    assert browser.cookies[NAME][0] == token
    assert answer.one("Cache-Control") == "no-store"
    assert (answer.one("Content-Type") or "").startswith("application/json")

    browser.offers.clear()
    assert who(browser) == ("ada", True)
    for _ in range(5):
        world.pass_by(PROOF_AGE - RENEWED_BEFORE)
        assert who(browser, "/write") == ("ada", True)
    assert world.site.events().count("bound") == 1
    counted = [world.node.count(f"{name}") for name in ("bound", "device_registered")]
    assert [*counted, world.node.count("device_refreshed")] == [1, 1, 5]
    # Without a challenge in hand it comes unsigned, and is given one.
    unsigned = browser.send_refresh(only(browser), None)
    assert (unsigned.status, nothing_set(unsigned)) == (403, True)
    assert unsigned.one("Secure-Session-Challenge") is not None


def test_a_login_by_redirect_binds_beside_a_page_that_writes(world: World) -> None:
    browser = world.browser()
    assert who(browser, "/signin/ada") == ("ada", False)
    assert who(browser) == ("ada", True)


@pytest.mark.parametrize(("served", "arrives"), BOTH)
def test_a_page_that_writes_races_the_registration(world: World, served: str, arrives: str) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    offer = browser.offers.pop()
    if served == "page":
        page = browser.ask("/write", take=False)
        registration = browser.send_registration(offer)
    else:
        registration = browser.send_registration(offer)
        page = browser.ask("/write", take=False)
    if arrives == "page":
        browser.take(page)
        browser.registered(offer, registration)
    else:
        browser.registered(offer, registration)
        browser.take(page)
    assert state(browser.open("/write")) == ["ada", True, 2]
    world.pass_by(31)
    assert state(browser.open("/write")) == ["ada", True, 3]


def test_a_browser_that_does_not_know_it_goes_on_as_before(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    world.pass_by(3600)
    assert shown(browser.ask("/write")) == ("ada", False)


def test_requests_under_way_at_the_binding_have_30_seconds(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    under_way = browser.copied()
    browser.register()
    browser.open("/")
    world.pass_by(29)
    assert who(under_way, "/write") == ("ada", False)
    world.pass_by(2)
    assert who(under_way) == VISITOR


def test_a_registration_whose_answer_is_lost_is_repeated(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    (offer,) = browser.offers
    lost = browser.send_registration(offer)  # its cookies never arrive
    assert lost.status == 200
    browser.register()
    assert json.loads(lost.body)["session_identifier"] == only(browser).identifier
    assert who(browser) == ("ada", True)


def test_a_registration_that_is_answered_503_leaves_the_session_unbound(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    world.site.down = True
    browser.register()
    assert browser.bound == {}
    world.site.down = False
    assert who(browser, "/write") == ("ada", False)


def test_two_logins_at_once_register_both_and_the_session_that_stays_is_bound(
    world: World,
) -> None:
    browser = world.browser()
    browser.open("/form")
    answers = [browser.ask("/login/ada", take=False) for _ in range(2)]
    for answer in answers:
        browser.take(answer)
    browser.register()
    for path in ("/", "/write"):
        assert who(browser, path) == ("ada", True)
    world.pass_by(PROOF_AGE)
    assert who(browser) == ("ada", True)


@pytest.mark.parametrize("later", [0, 1])
def test_two_tabs_renew_at_once(world: World, later: int) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    bound = only(browser)
    browser.send_refresh(bound, None)
    assert bound.challenge is not None
    response = signed(bound.private, bound.challenge, with_key=False)
    answers = [browser.send_refresh(bound, response, take=False) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    for answer in (answers[later], answers[1 - later]):
        browser.take(answer)
    assert who(browser, "/write") == ("ada", True)
    world.pass_by(PROOF_AGE)
    assert who(browser, "/write") == ("ada", True)


def refreshes_fail(send: Send, status: int) -> Send:
    """A site whose renewals don't work just now."""

    def sending(method: str, path: str, headers: dict[str, str]) -> Answer:
        if path == ROOT + "/refresh":
            return Answer(status, [], b"")
        return send(method, path, headers)

    return sending


def test_renewals_that_fail_for_a_minute_end_nothing(world: World) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    browser.send = refreshes_fail(browser.send, 503)
    cookies = dict(browser.cookies)
    for method in ("GET", "POST"):
        answer = browser.open("/", method=method)
        assert (answer.status, nothing_set(answer)) == (503, True)
        assert answer.one("Retry-After") == "1"
    world.pass_by(60)
    browser.send = world.node.send
    assert browser.cookies == cookies
    assert who(browser, "/write") == ("ada", True)


@pytest.mark.parametrize("status", [401, 403])
def test_a_browser_whose_renewals_are_refused_logs_in_again(world: World, status: int) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    browser.send = refreshes_fail(browser.send, status)
    assert who(browser) == VISITOR
    assert browser.bound == {}  # it has given up
    browser.send = world.node.send
    for path, bound in (("/login/ada", False), ("/", True), ("/write", True)):
        assert who(browser, path) == ("ada", bound)


def test_a_list_that_does_not_answer_for_a_minute_ends_nothing(world: World) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    world.site.down = True
    assert browser.send_refresh(only(browser), None).status == 503
    assert browser.open("/write").status == 503
    assert browser.follow_link("/write").status == 503
    world.pass_by(60)
    world.site.down = False
    assert who(browser, "/write") == ("ada", True)


def test_a_browser_that_says_so_of_another_session_is_a_visitor(world: World) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    skipped = {"Secure-Session-Skipped": f'server_error;session_identifier="{"A" * 22}"'}
    assert shown(browser.ask("/", skipped)) == VISITOR
    fetched = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}  # by a script
    assert shown(browser.ask("/", {**skipped, **fetched})) == VISITOR


@pytest.mark.parametrize("path", ["/cycle", "/cycle-twice"])
def test_cycle_key_stays_bound_and_takes_key_and_proof_along(world: World, path: str) -> None:
    browser = world.bound()
    copy = browser.copied()
    assert who(browser, path) == ("ada", True)
    world.pass_by(31)
    assert who(browser) == ("ada", True)
    assert who(stolen(browser, SESSION)) == VISITOR
    assert who(copy) == VISITOR
    world.pass_by(PROOF_AGE)
    assert who(browser) == ("ada", True)


@pytest.mark.parametrize(("served", "arrives"), list(product(["page", "refresh"], repeat=2)))
def test_a_renewal_under_way_beside_cycle_key_ends_nothing(
    world: World, served: str, arrives: str
) -> None:
    browser = world.bound()
    bound = only(browser)
    browser.send_refresh(bound, None)
    assert bound.challenge is not None
    response = signed(bound.private, bound.challenge, with_key=False)
    if served == "page":
        page = browser.ask("/cycle", take=False)
        refresh = browser.send_refresh(bound, response, take=False)
        # 401 would end it in the browser, whose new cookies are on their way.
        assert (refresh.status, nothing_set(refresh)) == (503, True)
    else:
        refresh = browser.send_refresh(bound, response, take=False)
        page = browser.ask("/cycle", take=False)
    for answer in (page, refresh) if arrives == "page" else (refresh, page):
        browser.take(answer)
    assert shown(browser.ask("/write")) == ("ada", True)
    world.pass_by(PROOF_AGE - RENEWED_BEFORE - 1)
    assert shown(browser.ask("/write")) == ("ada", True)
    world.pass_by(PROOF_AGE)
    assert who(browser) == ("ada", True)


def test_a_bound_session_exists_beside_its_proof(world: World) -> None:
    browser = world.bound()
    assert who(browser, "/exists") == ("ada", True)
    assert who(stolen(browser, SESSION), "/exists") == VISITOR


def test_a_logout_deletes_the_pair_and_ends_the_session(world: World) -> None:
    browser = world.bound()
    copy, bound = browser.copied(), only(browser)
    assert who(browser, "/logout") == VISITOR
    assert browser.cookies == {}
    assert who(copy) == VISITOR
    for asking in (browser, copy):
        answer = asking.send_refresh(bound, None)
        assert (answer.status, nothing_set(answer)) == (401 if asking is browser else 503, True)
    world.pass_by(31)  # until then it might be one that was moved meanwhile
    assert copy.send_refresh(bound, None).status == 401
    # It asks until it is told that this has ended, and is not kept from another login.
    assert who(browser, "/login/eve") == ("eve", False)
    assert who(browser) == ("eve", True)


def test_another_login_gets_a_binding_of_its_own(world: World) -> None:
    browser = world.bound()
    old = only(browser)
    assert shown(browser.open("/login/eve", register=False)) == ("eve", False)
    assert only_session(browser)
    browser.register()
    assert who(browser) == ("eve", True)
    assert browser.send_refresh(old, None).status == 401
    world.pass_by(PROOF_AGE)
    assert who(browser) == ("eve", True)
    assert old.identifier not in browser.bound


def test_a_browser_that_lost_its_key_logs_in_again_and_ends_the_old_session(world: World) -> None:
    browser = world.bound()
    thief = stolen(browser)  # the proof still good
    browser.bound.clear()
    browser.cookies = {n: c for n, c in browser.cookies.items() if kind_of(n) != PROOF}
    assert who(browser) == VISITOR
    assert who(browser, "/login/ada") == ("ada", False)
    assert who(thief) == VISITOR
    assert who(browser) == ("ada", True)


def test_so_it_does_by_a_form_whose_token_is_kept_in_the_session(world: World) -> None:
    browser = world.bound()
    browser.bound.clear()
    world.pass_by(PROOF_AGE)
    assert who(browser, "/form") == VISITOR
    assert who(browser, "/send/ada") == ("ada", False)
    assert who(browser) == ("ada", True)
    world.pass_by(PROOF_AGE)
    assert who(browser, "/write") == ("ada", True)


def test_a_logout_without_proof_still_ends_the_session(world: World) -> None:
    browser = world.bound()
    thief = stolen(browser)
    browser.bound.clear()
    browser.cookies = {n: c for n, c in browser.cookies.items() if kind_of(n) != PROOF}
    browser.open("/logout")
    assert who(thief) == VISITOR


def test_a_link_from_another_site_is_answered_by_a_page_that_loads_itself_again(
    world: World,
) -> None:
    browser = world.bound()
    world.pass_by(PROOF_AGE)
    answer = browser.ask("/write", LINK)
    assert answer.status == 200
    assert b'<meta http-equiv="refresh" content="0">' in answer.body
    assert (answer.one("Content-Type") or "").startswith("text/html")
    assert answer.one("Cache-Control") == "no-store"
    assert "Cookie" in (answer.one("Vary") or "")
    assert nothing_set(answer)
    for site in ("cross-site", "same-site"):
        assert shown(browser.follow_link("/write", site=site)) == ("ada", True)
        world.pass_by(PROOF_AGE)
    assert shown(world.browser().follow_link("/")) == VISITOR
    assert shown(browser.ask("/", {**LINK, "Sec-Fetch-Site": "same-origin"})) == VISITOR


def test_a_restart_and_a_second_node_change_nothing(world: World) -> None:
    browser = world.bound()
    browser.send = world.site.node().send
    assert who(browser, "/write") == ("ada", True)
    world.pass_by(PROOF_AGE)
    browser.send = world.site.node().send
    assert who(browser, "/write") == ("ada", True)
    assert who(stolen(browser, SESSION, KEY)) == VISITOR


def test_a_secret_is_rotated_while_keys_and_proofs_are_out(world: World) -> None:
    browser = world.bound()
    for secrets in [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)]:
        browser.send = world.site.node(*secrets).send
        assert who(browser) == ("ada", True)
        world.pass_by(PROOF_AGE)
        assert who(browser, "/write") == ("ada", True)
    assert who(stolen(browser, SESSION)) == VISITOR


def test_served_unchecked_a_device_key_still_needs_its_proof(world: World) -> None:
    browser = world.bound()
    browser.send = world.site.node(on_unreachable="accept").send
    world.site.down = True
    assert who(browser) == ("ada", True)
    assert who(stolen(browser, SESSION, KEY)) == VISITOR


def test_off_says_and_answers_nothing(world: World) -> None:
    browser = world.browser()
    browser.send = world.site.node(device_binding="off").send
    assert browser.ask("/login/ada").one(OFFER) is None
    answer = browser.ask(ROOT + "/refresh", method="POST")
    assert answer.one("Secure-Session-Challenge") is None
