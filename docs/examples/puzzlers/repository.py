"""A page and its parts (S105–S109): a table for each kind of thing, or all that a page needs in one collection?

A repository has 40 issues of 2 KB; its page shows the repository and the ten newest of them. A cart has 12 lines, each
with a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from meter import KB, Database, Row, padded, run, table

ISSUES, SHOWN = 40, 10
ISSUE_BYTES = 2 * KB
PRODUCTS = 12
REPOSITORY = "REPO#dynalab"
Result = TypeVar("Result")


def tables_by_kind(db: Database) -> None:
    """A table for each kind of thing, as from a generator of schemas (S107)."""
    db.create("Carts", "cart")
    db.put("Carts", cart="c1", products=[f"p{n}" for n in range(PRODUCTS)])
    db.create("Products", "product")
    db.load("Products", [{"product": f"p{n}", "price": 10 + n} for n in range(PRODUCTS)])
    db.create("Repositories", "repository")
    db.put("Repositories", repository=REPOSITORY, stars=7)
    db.create("Issues", "repository", "number:N")
    issues = [padded(ISSUE_BYTES, repository=REPOSITORY, number=n, title=f"issue {n}") for n in range(1, ISSUES + 1)]
    db.load("Issues", issues)


def one_table(db: Database) -> None:
    """All in one table: what is read together has one partition key (S106), and each row says what it is (S109)."""
    db.create("Everything", "pk", "sk")
    rows: list[Row] = [{"pk": REPOSITORY, "sk": REPOSITORY, "kind": "repository", "stars": 7}]
    rows += [
        padded(ISSUE_BYTES, pk=REPOSITORY, sk=f"ISSUE#{n:06}", kind="issue", title=f"issue {n}")
        for n in range(1, ISSUES + 1)
    ]
    rows += [{"pk": "CART#c1", "sk": f"LINE#{n:03}", "kind": "line", "price": 10 + n} for n in range(PRODUCTS)]
    db.load("Everything", [*rows, {"pk": "CART#c1", "sk": "CART", "kind": "cart", "owner": "ann"}])


def cart_by_kind(db: Database) -> int:
    """Resolvers that know nothing of each other: the cart, then each product; the sum of the prices (S105)."""
    cart = db.get("Carts", {"cart": "c1"}, strong=False)
    assert cart is not None
    prices: list[int] = []
    for product in cart["products"]:  # type: ignore[union-attr]
        found = db.get("Products", {"product": str(product)}, strong=False)
        assert found is not None
        prices.append(int(str(found["price"])))
    return sum(prices)


def cart_in_one(db: Database) -> int:
    """One query."""
    found = db.query("Everything", "pk = :p", {"p": "CART#c1"})
    return sum(int(str(each["price"])) for each in found if each["kind"] == "line")


def page_by_kind(db: Database) -> list[str]:
    """The repository, then its newest issues: a resolver each."""
    repository = db.get("Repositories", {"repository": REPOSITORY}, strong=False)
    more = {"Limit": SHOWN, "ScanIndexForward": False}
    issues = db.query("Issues", "repository = :r", {"r": REPOSITORY}, **more)
    assert repository is not None
    return [str(repository["repository"]), *(str(each["title"]) for each in issues)]


def page_in_one(db: Database) -> list[str]:
    """One query, backwards: `REPO#…` sorts behind every `ISSUE#…`, so it comes first and the newest issues follow."""
    more = {"Limit": SHOWN + 1, "ScanIndexForward": False}
    found = db.query("Everything", "pk = :p", {"p": REPOSITORY}, **more)
    return [PARSERS[str(each["kind"])](each) for each in found]


# Rows of one answer are of several kinds: what each becomes is said by an attribute, never guessed from the key.
PARSERS = {"repository": lambda each: str(each["pk"]), "issue": lambda each: str(each["title"])}


def head_alone(db: Database) -> None:
    """The repository without its issues, for a page that asks for no more (S108)."""
    db.get("Everything", {"pk": REPOSITORY, "sk": REPOSITORY}, strong=False)


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    tables_by_kind(db)
    one_table(db)
    lines: list[tuple[str, int, float]] = []

    def measured(name: str, read: Callable[[Database], Result]) -> Result:
        with db.bill() as bill:
            found = read(db)
        lines.append((name, bill.requests, bill.units))
        return found

    assert measured("cart, a table a kind", cart_by_kind) == measured("cart, one collection", cart_in_one)
    apart = measured("page, a table a kind", page_by_kind)
    page = measured("page, one collection", page_in_one)
    assert apart == page and len(page) == SHOWN + 1
    measured("only the repository, whole page read", page_in_one)
    measured("only the repository, looked ahead", head_alone)
    yield from table(("", "requests", "units"), *lines)
    yield f"the page: {', '.join(page[:4])}, …, {page[-1]}"


if __name__ == "__main__":
    run(puzzler)
