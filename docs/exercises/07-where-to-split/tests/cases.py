"""The questions of exercise 07; where a split would help is judged by what leaders of the implementation do."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dynalab.grade import JSON, Case, Judge
from dynalab_impl import heat

Sample = list[str | int]


def sample(key: bytes, units: int) -> Sample:
    return [key.hex(), units]


# --- task 1 -----------------------------------------------------------------------------------------------------------


def sides(samples: list[Sample], at: str) -> tuple[int, int]:
    left = sum(int(units) for key, units in samples if str(key) < at)
    return left, sum(int(units) for _, units in samples) - left


def judge_halves(samples: list[Sample]) -> Judge:
    keys = sorted({str(key) for key, _ in samples})
    best = min((max(sides(samples, key)) for key in keys[1:]), default=None)

    def judge(got: JSON) -> str | None:
        if best is None:
            return (
                None if got == "" else f'all samples are of one key: nothing divides it, "" is wanted, not {got!r:.80}'
            )
        if not isinstance(got, str) or got not in keys:
            return f"{got!r:.80} is none of the sampled keys"
        left, right = sides(samples, got)
        if not left:
            return f"nothing lies before {got}, the left side gets no load"
        if max(left, right) > best:
            return f"at {got} the sides get {left} and {right} units; another key leaves the busier side only {best}"
        return None

    return judge


def halve_cases(seeds: list[int]) -> Iterator[Case]:
    by_hand = [
        [sample(b"a", 1), sample(b"d", 1), sample(b"b", 1), sample(b"c", 1)],
        [sample(b"a", 9), sample(b"b", 1), sample(b"c", 1)],
        [sample(b"a", 1), sample(b"b", 1), sample(b"c", 9)],
        [sample(b"only", 3)] * 5,
    ]
    for number, samples in enumerate(by_hand, start=1):
        yield Case(f"halve-{number}", 1, "halve", [samples], judge_halves(samples))
    rng = random.Random(seeds[0])
    for number in range(1, 5):
        keys = [rng.getrandbits(16).to_bytes(2, "big") for _ in range(20)]
        samples = [sample(rng.choice(keys), rng.randrange(1, 10)) for _ in range(200)]
        yield Case(f"halve-drawn-{number}", 1, "halve", [samples], judge_halves(samples))


# --- task 2 -----------------------------------------------------------------------------------------------------------


def judge_point(samples: list[Sample], below: bool, above: bool, words: str) -> Judge:
    wanted = heat.split_point([(bytes.fromhex(str(k)), int(u)) for k, u in samples], below, above).hex()

    def judge(got: JSON) -> str | None:
        if got == wanted:
            return None
        return f"{words}: {f'it divides at {wanted}' if wanted else 'no split helps'}, not {got!r:.80}"

    return judge


def point_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[1])
    spread = [sample(bytes([number * 37 % 100]), 6) for number in range(100)]
    rising = [sample(bytes([number]), 6) for number in range(100)]
    mostly = [sample(bytes([number if number % 12 else 0]), 6) for number in range(1, 100)]
    hot = [sample(b"m" if number % 4 else bytes([97 + number % 26]), 6) for number in range(64)]
    rng.shuffle(hot)
    costly = [sample(b"m", 90) if number % 8 == 0 else sample(bytes([number * 41 % 256]), 6) for number in range(80)]
    end = [sample(bytes([250 + number % 4] if number % 4 else [number]), 6) for number in range(120)]
    rng.shuffle(end)
    asked: list[tuple[str, list[Sample], bool, bool]] = [
        ("31 samples", spread[:31], True, True),
        ("32 samples, evenly spread", spread[:32], True, True),
        ("load that rises through the keys", rising, True, True),
        ("load that falls through the keys", rising[::-1], True, True),
        ("nearly all steps go up", mostly, True, True),
        ("one hot key, items on both sides", hot, True, True),
        ("one hot key, items above it alone", hot, False, True),
        ("one hot key, nothing beside it", hot, False, False),
        ("a key that is rare and costly", costly, True, False),
        ("three quarters of the load near the end", end, True, True),
    ]
    for number in range(1, 3):
        keys = [rng.getrandbits(24).to_bytes(3, "big") for _ in range(rng.choice((3, 30)))]
        asked.append(
            (f"as drawn, {number}", [sample(rng.choice(keys), rng.choice((6, 9))) for _ in range(150)], True, True)
        )
    for number, (words, samples, below, above) in enumerate(asked, start=1):
        yield Case(
            f"point-{number}", 1, "split_point", [samples, below, above], judge_point(samples, below, above, words)
        )


# --- task 3 -----------------------------------------------------------------------------------------------------------


def judge_pages(maps: list[JSON], held: list[list[str]], limit: int, words: str) -> Judge:
    wanted: list[list[str]] = []
    last = ""
    for keys in held:
        page = sorted(key for key in keys if key > last)[:limit]
        wanted.append(page)
        if len(page) < limit:
            break
        last = page[-1]

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list):
            return f"a list of pages is wanted, not {got!r:.80}"
        for number, page in enumerate(wanted):
            if number >= len(got):
                return f"{words}: page {number} is missing, it holds {page}"
            if got[number] != page:
                return f"{words}: page {number} holds {page}, not {got[number]!r:.200}"
        return None if len(got) == len(wanted) else f"{words}: page {len(wanted)} is one too many"

    return judge


def divided(keys: list[str], ends: list[str], rng: random.Random) -> list[JSON]:
    """The partitions with these low ends, in no order."""
    lows = ["", *sorted(ends)]
    parts: list[JSON] = []
    for low, high in zip(lows, [*lows[1:], ""], strict=True):
        inside = [key for key in keys if key >= low and (not high or key < high)]
        rng.shuffle(inside)
        parts.append([low, high, list[JSON](inside)])
    rng.shuffle(parts)
    return parts


def read_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[2])
    keys = [f"{number:02x}" for number in range(10, 20)]
    asked: list[tuple[str, int, list[list[str]], list[list[str]]]] = [
        ("one partition that never divides", 4, [keys] * 4, [[]] * 4),
        ("it divides behind the first page", 4, [keys] * 4, [[], ["0f"], ["0f"], ["0f"]]),
        ("it divides at the key that ended a page", 3, [keys] * 5, [[], ["0c"], ["0c"], ["0c", "0f"], ["0c", "0f"]]),
        ("a page takes the end of one partition and the beginning of the next", 4, [keys] * 4, [["0d"]] * 4),
        ("two empty partitions lie between", 4, [keys[:3] + keys[8:]] * 3, [["0d", "0e", "11"]] * 3),
        (
            "a key is written before the place of the read, one behind it",
            3,
            [keys, [*keys, "09", "13ff"]] + [[*keys, "09", "13ff"]] * 4,
            [[]] * 6,
        ),
        ("the number of keys is a multiple of the limit", 5, [keys] * 3, [[], ["0e"], ["0e"]]),
    ]
    for number in range(1, 4):
        held, ends, now, cut = [], [], [f"{rng.getrandbits(12):04x}" for _ in range(60)], list[str]()
        for _ in range(20):
            held.append(sorted(set(now)))
            ends.append(list(cut))
            now = [key for key in now if rng.random() > 0.03] + [f"{rng.getrandbits(12):04x}"]
            cut = sorted({*cut, *rng.sample(now, rng.randrange(2))})
        asked.append((f"as drawn, {number}", 7, held, ends))
    for number, (words, limit, held, ends) in enumerate(asked, start=1):
        maps: list[JSON] = [divided(list(page), cuts, rng) for page, cuts in zip(held, ends, strict=True)]
        yield Case(f"read-{number}", 1, "read", [maps, limit], judge_pages(maps, held, limit, words))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from halve_cases(seeds)
    yield from point_cases(seeds)
    yield from read_cases(seeds)
