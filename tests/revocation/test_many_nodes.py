"""Four processes over one list: what is revoked on one is refused on all, and nothing else is."""

from __future__ import annotations

import random

import pytest

from tests.revocation.fleet import Judge, Plan, run_fleet, summary

pytestmark = pytest.mark.slow

STALE = 0.05


def run_and_judge(plans, meanwhile=lambda: None):
    print("seeds:", [plan.seed for plan in plans])
    events = run_fleet(plans, meanwhile)
    print(summary(events))
    judge = Judge(events, {plan.number: plan.max_staleness for plan in plans})
    wrong = judge.violations()
    assert not wrong, f"{len(wrong)} violations, the first: {wrong[0]}"
    return events


def outcomes(events, kind):
    return {event.outcome for event in events if event.kind == kind}


def four(where, operations, **of_node):
    """Plans for four processes; `of_node` names a value for each of them."""
    seed = random.SystemRandom().randrange(10**6)
    return [
        Plan(
            where,
            number,
            seed,
            operations=operations // 4,
            **{name: values[number] for name, values in of_node.items()},
        )
        for number in range(4)
    ]


def test_four_processes_on_one_redis_one_of_them_with_max_staleness(redis_server):
    plans = four(redis_server.url, 20_000, max_staleness=[0, 0, 0, STALE])
    events = run_and_judge(plans)
    assert len(events) >= 20_000
    assert outcomes(events, "read") == {"done", "refused"}
    assert outcomes(events, "save") == {"done", "refused"}
    assert outcomes(events, "supersede") == {"done", "refused"}


def test_the_same_with_clocks_a_minute_apart_and_one_set_back_an_hour(redis_server):
    plans = four(
        redis_server.url,
        20_000,
        max_staleness=[0, STALE, 0, 0],
        clock_offset=[-60, 0, 60, 0],
        step=[0, 0, 0, -3600],
    )
    events = run_and_judge(plans)
    assert len(events) >= 20_000
    assert outcomes(events, "read") == {"done", "refused"}


def test_four_processes_on_one_sqlite_file_with_clocks_apart(tmp_path):
    plans = four(str(tmp_path / "list"), 4_000, clock_offset=[-60, 0, 60, 0], step=[0, 0, 0, -3600])
    events = run_and_judge(plans)
    assert len(events) >= 4_000
    assert outcomes(events, "read") == {"done", "refused"}


def test_the_judge_finds_a_list_that_forgets(redis_server):
    """What would go unseen if the judge were blind: one process's revocations lost."""
    plans = four(redis_server.url, 2_000)
    plans[3] = Plan(redis_server.url, 3, plans[3].seed, 500, max_staleness=0.5)
    events = run_fleet(plans)
    honest = {plan.number: plan.max_staleness for plan in plans}
    assert not Judge(events, honest).violations()
    assert Judge(events, dict.fromkeys(honest, 0.0)).violations()
    without = [event for event in events if event.kind not in ("revoke", "supersede")]
    assert Judge(without, honest).violations()
    without_groups = [event for event in events if event.kind != "revoke" or not event.group]
    assert Judge(without_groups, honest).violations()
