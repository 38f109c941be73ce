"""What a benchmark run found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table

IN_MEMORY = "dynalab"
ON_DISK = "dynalab --data"
IN_PAGE_CACHE = "dynalab --data --no-fsync"
OWN = (IN_MEMORY, IN_PAGE_CACHE, ON_DISK)
# What keeps files is compared with what keeps them on the same terms first; everything else with what keeps none.
BESIDE = {"dynalite --path": (IN_PAGE_CACHE, ON_DISK)}
TERMS = (
    f"dynalite --path and {IN_PAGE_CACHE} wait for no disk: a kill of the process takes nothing that was acknowledged,"
    f" a power cut may take any of it. {ON_DISK} acknowledges a write when it is on the disks of two of three replicas."
)


@dataclass(slots=True)
class Figure:
    """One measured row: what, on which subject, its rate; or why there is none. `detail` holds latencies and sizes."""

    section: str
    subject: str
    rate: float | None
    unit: str
    detail: str = ""
    problem: str = ""


@dataclass(slots=True)
class Report:
    """All rows of one run on one machine."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def ratios(self) -> dict[str, dict[str, dict[str, float]]]:
        """Per section and other server: the rates of dynalab's endpoints over that server's, the one on equal terms
        first.

        >>> rows = [Figure("GetItem", "dynalab", 9000.0, "requests/s"), Figure("GetItem", "moto", 300.0, "requests/s")]
        >>> rows += [Figure("GetItem", "dynalab --data", 800.0, ""), Figure("GetItem", "dynalite --path", 400.0, "")]
        >>> Report(rows).ratios()
        {'GetItem': {'moto': {'dynalab': 30.0}, 'dynalite --path': {'dynalab --data': 2.0}}}
        """
        rates = {(figure.section, figure.subject): figure.rate for figure in self.figures}
        result: dict[str, dict[str, dict[str, float]]] = {}
        for other in self.figures:
            for subject in BESIDE.get(other.subject, (IN_MEMORY,)):
                own = rates.get((other.section, subject))
                if own:
                    row = result.setdefault(other.section, {})
                    if other.rate and other.subject not in OWN:
                        row.setdefault(other.subject, {})[subject] = round(own / other.rate, 2)
        return result

    def to_json(self) -> str:
        """Rows, ratios and the machine, as one JSON object."""
        machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        body = {"machine": machine, "figures": [asdict(f) for f in self.figures], "ratios": self.ratios()}
        if self._has_files():
            body["terms"] = TERMS
        return json.dumps(body, sort_keys=True)

    def show(self, console: Console) -> None:
        """The table. A row without a rate says why in place of it."""
        ratios = self.ratios()
        table = Table(title=f"Python {platform.python_version()}, {os.cpu_count()} cores", title_justify="left")
        for name, justify in (("what", "left"), ("subject", "left"), ("rate", "right"), ("dynalab is", "right")):
            table.add_column(name, justify="right" if justify == "right" else "left")
        table.add_column("detail")
        for figure in self.figures:
            rate = f"{figure.rate:,.0f} {figure.unit}" if figure.rate is not None else "not measured"
            beside = ratios.get(figure.section, {}).get(figure.subject, {})
            table.add_row(
                figure.section,
                figure.subject,
                rate,
                "\n".join(
                    f"{ratio:.2f} times" + ("" if subject == IN_MEMORY else f" ({subject.removeprefix('dynalab ')})")
                    for subject, ratio in beside.items()
                ),
                figure.problem or figure.detail,
            )
        console.print(table)
        if self._has_files():
            console.print(TERMS, highlight=False)

    def _has_files(self) -> bool:
        return any(figure.subject in BESIDE for figure in self.figures)
