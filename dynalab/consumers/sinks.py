"""Sinks behind a stream: a search index (S75, S179) and files for analysis (S76). Both take records at least once, in
any order, and come to the same in the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from dynalab.consumers.reading import Record, change_of, made_at, number_of

Image: TypeAlias = "Mapping[str, Mapping[str, object]]"
_WORD = re.compile(r"\w+")


def key_text(image: Mapping[str, object]) -> str:
    """A key as a text: what documents and rows are known by."""
    return json.dumps(image, sort_keys=True, default=repr)


@dataclass(slots=True)
class SearchSink:
    """An index of the words in the texts of items. Documents have the version of the change that they come from, and an
    older one never replaces a newer one; what was deleted leaves its version behind, or a late copy of an earlier
    change would bring it back.

    >>> sink = SearchSink()
    >>> new = {"id": {"S": "a"}, "title": {"S": "buy milk"}}
    >>> change = {"Keys": {"id": {"S": "a"}}, "NewImage": new, "SequenceNumber": "7"}
    >>> sink.take({"Records": [{"eventName": "INSERT", "dynamodb": change}]})
    >>> sink.search("milk") == [new]
    True
    """

    documents: dict[str, Image] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    words: dict[str, set[str]] = field(default_factory=dict)

    def take(self, event: Mapping[str, object]) -> None:
        """A trigger's function: index a batch. The stream must show new images."""
        for record in cast("Sequence[Record]", event["Records"]):
            change = change_of(record)
            key, version = key_text(cast("Mapping[str, object]", change["Keys"])), int(number_of(record))
            if version <= self.versions.get(key, 0):
                continue
            self.versions[key] = version
            for word in self._words_of(self.documents.pop(key, {})):
                self.words[word].discard(key)
            if record["eventName"] != "REMOVE":
                image = cast(Image, change["NewImage"])
                self.documents[key] = image
                for word in self._words_of(image):
                    self.words.setdefault(word, set()).add(key)

    def search(self, word: str) -> list[Image]:
        """The documents that hold the word, in the order of their keys."""
        return [self.documents[key] for key in sorted(self.words.get(word.lower(), set()))]

    @staticmethod
    def _words_of(image: Image) -> list[str]:
        texts = [str(value["S"]) for value in image.values() if "S" in value]
        return [word.lower() for text in texts for word in _WORD.findall(text)]


@dataclass(slots=True)
class FileSink:
    """Writes batches as files of JSON lines, one directory for each hour (the service's Firehose writes Parquet; the
    lines hold the same). A file is whole or not there: it gets its name when it is written.
    """

    directory: Path
    files: int = 0

    def take(self, event: Mapping[str, object]) -> None:
        """A trigger's function: one file for each hour of the batch."""
        by_hour: dict[int, list[Record]] = {}
        for record in cast("Sequence[Record]", event["Records"]):
            by_hour.setdefault(int(made_at(record)) // 3600, []).append(record)
        for hour, records in by_hour.items():
            where = self.directory / f"hour={hour}"
            where.mkdir(parents=True, exist_ok=True)
            self.files += 1
            whole = where / f"{number_of(records[0])}-{self.files:06d}.jsonl"
            part = whole.with_suffix(".part")
            part.write_text("".join(json.dumps(record, default=str) + "\n" for record in records), encoding="utf-8")
            part.rename(whole)

    def rows(self) -> list[Record]:
        """Every row of every file, doubles and all."""
        files = sorted(self.directory.glob("hour=*/*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def folded(rows: Iterable[Record]) -> dict[str, Image]:
    """The table that the rows tell of: each change once, in the order of their numbers. Needs new images."""
    once = {int(number_of(row)): row for row in rows}
    table: dict[str, Image] = {}
    for number in sorted(once):
        change = change_of(once[number])
        key = key_text(cast("Mapping[str, object]", change["Keys"]))
        if once[number]["eventName"] == "REMOVE":
            table.pop(key, None)
        else:
            table[key] = cast(Image, change["NewImage"])
    return table
