"""A solution of exercise 05."""

from __future__ import annotations


def wait_ns(lease_ns: int, drift_ppm: int) -> int:
    """The old lease on the slowest clock, measured on the fastest; rounded up."""
    million = 1_000_000
    return -(-lease_ns * (million + drift_ppm) // (million - drift_ppm))


def lease_ends_ns(renewals: list, members: int, zone: str, lease_ns: int) -> int | None:
    """Each follower counts with the newest renewal that it acknowledged."""
    newest: dict[str, int] = {}
    for sent_ns, followers in renewals:
        for follower in followers:
            newest[follower] = max(newest.get(follower, sent_ns), sent_ns)
    for start_ns in sorted(set(newest.values()), reverse=True):
        agreed = [follower for follower, sent_ns in newest.items() if sent_ns >= start_ns]
        zones = {zone, *(follower.split("/")[0] for follower in agreed)}
        if 2 * (len(agreed) + 1) > members and len(zones) >= 2:
            return start_ns + lease_ns
    return None
