"""The Prometheus collector, scraped as a server would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import Node

pytest.importorskip("prometheus_client", reason="prometheus-client is missing (extra `prometheus`)")

from prometheus_client import CollectorRegistry, generate_latest

from duck_cookie_session import SQLiteRevocationList, session_headers
from duck_cookie_session.contrib.prometheus import SessionCollector
from duck_cookie_session.errors import DeviceReason, LogoutReason, Reason
from duck_cookie_session.session.stats import COUNTED, NOT_SAVED


def scraped(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def test_every_counter_is_there_from_the_start(node: Node) -> None:
    registry = CollectorRegistry()
    registry.register(SessionCollector(node.connector))
    by_list = {"forgotten", "unreachable"}
    assert scraped(registry) == {
        **{f"duck_cookie_session_{name}_total": 0.0 for name in COUNTED if name not in by_list},
        **{f'duck_cookie_session_{name}_total{{list="SwitchableList"}}': 0.0 for name in by_list},
        **{f'duck_cookie_session_refused_total{{reason="{one.value}"}}': 0.0 for one in Reason},
        **{
            f'duck_cookie_session_device_refused_total{{reason="{one.value}"}}': 0.0
            for one in DeviceReason
        },
        **{
            f'duck_cookie_session_provider_logouts_refused_total{{reason="{one.value}"}}': 0.0
            for one in LogoutReason
        },
        **{
            f'duck_cookie_session_not_saved_total{{reason="{one}"}}': 0.0
            for one in NOT_SAVED.values()
        },
    }


def test_a_scrape_shows_what_happened(node: Node) -> None:
    registry = CollectorRegistry()
    registry.register(SessionCollector(node.connector))
    token = node.start(a=1)
    node.read(token)
    node.connector.delete_session(token)
    node.read(token)
    node.read("junk!")
    found = {name: value for name, value in scraped(registry).items() if value}
    assert found["duck_cookie_session_issued_total"] == 1
    assert found["duck_cookie_session_read_total"] == 1
    assert found["duck_cookie_session_revoked_total"] == 1
    assert found['duck_cookie_session_refused_total{reason="ended"}'] == 1
    assert found['duck_cookie_session_refused_total{reason="malformed"}'] == 1


def test_a_session_that_was_not_saved_is_counted_by_reason(node: Node) -> None:
    registry = CollectorRegistry()
    registry.register(SessionCollector(node.connector))
    for value in ("x" * 5000, object(), "y" * 5000):
        session = node.request()
        session["a"] = value
        session_headers(session)
    found = {name: value for name, value in scraped(registry).items() if "not_saved" in name}
    assert {name: value for name, value in found.items() if value} == {
        'duck_cookie_session_not_saved_total{reason="too large"}': 2,
        'duck_cookie_session_not_saved_total{reason="not serializable"}': 1,
    }


def test_each_counter_has_its_help_and_type(node: Node) -> None:
    registry = CollectorRegistry()
    registry.register(SessionCollector(node.connector))
    text = generate_latest(registry).decode()
    for name in (*COUNTED, "refused", "device_refused", "provider_logouts_refused", "not_saved"):
        assert f"# TYPE duck_cookie_session_{name}_total counter" in text
        assert f"# HELP duck_cookie_session_{name}_total " in text


def test_how_long_the_list_took_is_a_histogram_by_list(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    node = make_node(SQLiteRevocationList(tmp_path))
    registry = CollectorRegistry()
    registry.register(SessionCollector(node.connector))
    node.connector.delete_session(node.start(a=1))
    found = scraped(registry)
    of_list = 'list="SQLiteRevocationList"'
    count = found[f"duck_cookie_session_list_seconds_count{{{of_list}}}"]
    assert count > 0
    assert found[f'duck_cookie_session_list_seconds_bucket{{le="+Inf",{of_list}}}'] == count
    assert found[f"duck_cookie_session_list_seconds_sum{{{of_list}}}"] > 0
    assert found[f"duck_cookie_session_list_wait_seconds_count{{{of_list}}}"] == 0
    assert found[f"duck_cookie_session_forgotten_total{{{of_list}}}"] == 0
    assert "# TYPE duck_cookie_session_list_seconds histogram" in generate_latest(registry).decode()
