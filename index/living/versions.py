"""Versions of a catalogue: built aside, put in force whole, kept, and gone back to.

The catalogue in force is the folder that workers open. Versions are kept beside it, in ``<folder>.versions/000001`` and
so on, as hard links where the file system has them, so a kept version in force takes no space of its own. Putting
one in force exchanges the folder in one step (`index.built.swap`); a worker sees the new manifest, opens the version
aside, and goes on with the last one if the new one is damaged.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from index.built.build import build_catalog
from index.built.catalog import Catalog
from index.built.manifest import MANIFEST, Manifest, Published
from index.built.swap import swap_folder
from index.errors import CatalogError, CatalogMissingError
from index.nearest.vectors import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from index.built.embeddings import KnownVectors
    from index.encoders.encoder import Encoder
    from index.items.columns import Columns
    from index.items.intake import Progress
    from index.nearest.choice import IndexChoice

__all__ = ["KEPT", "Version", "Versions"]

KEPT: Final = 5
_HISTORY: Final = "history.jsonl"


@dataclass(frozen=True, slots=True)
class Version:
    """A version that is kept.

    Attributes:
        published: Its number, and who published it when and why; the way out in ``problem`` if it cannot be read.
        manifest: All that is known of it; None if it is damaged.
        in_force: Whether workers serve it.
        problem: What is wrong with it; empty if nothing is.
    """

    number: int
    manifest: Manifest | None
    in_force: bool
    problem: str = ""


class Versions:
    """The versions of the catalogue in a folder.

    Args:
        home: The folder that workers open.
        keep: How many versions to keep, the one in force among them.
    """

    def __init__(self, home: Path, keep: int = KEPT) -> None:
        self.home = home.absolute()
        self.folder = self.home.with_name(f"{self.home.name}.versions")
        self.keep = max(1, keep)

    def in_force(self) -> int | None:
        """The number of the version in force; None if none is, or one that was only built.

        Raises:
            CatalogDamagedError: If the manifest of what is in force cannot be read.
        """
        try:
            published = Manifest.load(self.home).published
        except CatalogMissingError:
            return None
        return published.number if published else None

    def kept(self) -> list[Version]:
        """The versions that are kept, oldest first, after comparing the sizes of their files."""
        try:
            now = self.in_force()
        except CatalogError:
            now = None
        found = []
        for number in self._numbers():
            place = self._place(number)
            try:
                manifest = Manifest.load(place)
                for name in manifest.files:
                    manifest.check(place, name)
            except CatalogError as error:
                found.append(Version(number, None, number == now, error.message))
            else:
                found.append(Version(number, manifest, number == now))
        return found

    def publish(
        self,
        source: Path,
        encoder: Encoder,
        *,
        note: str = "",
        author: str = "",
        offsets: Mapping[str, int] | None = None,
        columns: Columns | None = None,
        choice: IndexChoice | None = None,
        known: KnownVectors | None = None,
        sold_out: Sequence[str] = (),
        progress: Progress | None = None,
        threads: int = 1,
        based_on: str | None = None,
    ) -> Version:
        """Make a version and put it in force.

        Args:
            source: A file of items, or the folder of a built catalogue.
            encoder: Makes the vectors of the texts that the version in force does not have.
            note: Why.
            author: Who.
            offsets: For each ``TOPIC:PARTITION`` the first change that is not in the source.
            columns: The file's column names.
            choice: The type of index; else that of the version in force if it fits, else by size.
            known: Vectors that need not be made; else those of the version in force.
            sold_out: Ids of items in the source that are not to be had.
            progress: Told how far it is.
            threads: CPU threads for building the index.
            based_on: The build that the source was made from; refused if another one is in force by then.

        Raises:
            CatalogError: If it cannot be made, is damaged, or another publication is under way. Nothing has then
                changed for those who serve.
        """
        with self._alone():
            self._expect(based_on)
            self._keep_unversioned()
            number = max([0, *self._numbers()]) + 1
            published = Published(
                number=number, at=datetime.now(UTC), note=note, author=author, offsets=dict(offsets or {})
            )
            place = self._place(number)
            if source.is_dir():
                _verify(source, encoder)
                _adopt(source, place, Manifest.load(source).model_copy(update={"published": published}))
            else:
                build_catalog(
                    source,
                    place,
                    encoder,
                    columns=columns,
                    progress=progress,
                    threads=threads,
                    choice=choice,
                    known=known,
                    before=self.home,
                    published=published,
                    sold_out=sold_out,
                )
            _verify(place, encoder)
            self._expect(based_on)
            self._enforce(number)
            self._note("publish", number, author, note)
            self._prune()
            return Version(number, Manifest.load(place), in_force=True)

    def rollback(
        self, number: int, encoder: Encoder | None = None, *, author: str = "", note: str = ""
    ) -> Version:
        """Put a kept version in force again.

        Args:
            number: Which.
            encoder: The one that workers run; without it, only that the files are whole is checked.
            author: Who.
            note: Why.

        Raises:
            CatalogMissingError: If no such version is kept.
            CatalogDamagedError: If it is damaged.
            EncoderMismatchError: If another encoder made it.
        """
        with self._alone():
            self.look_for(number)
            place = self._place(number)
            _verify(place, encoder)
            self._keep_unversioned()
            self._enforce(number)
            self._note("rollback", number, author, note)
            return Version(number, Manifest.load(place), in_force=True)

    def look_for(self, number: int) -> None:
        """Return if a version is kept.

        Raises:
            CatalogMissingError: If it is not.
        """
        if number not in self._numbers():
            kept = ", ".join(map(str, self._numbers())) or "none"
            raise CatalogMissingError(
                f"There is no version {number} of {self.home}; kept are {kept}.",
                way_out="`nearline catalog versions` lists them.",
            )

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06d}"

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return sorted(int(one.name) for one in self.folder.iterdir() if one.name.isdigit() and one.is_dir())

    def _expect(self, build_id: str | None) -> None:
        if build_id is not None and Manifest.load(self.home).build_id != build_id:
            raise CatalogError(
                f"{self.home} was published anew meanwhile.",
                way_out="Nothing to do: the newer version counts.",
            )

    def _keep_unversioned(self) -> None:
        """Number what is in force, if it was only built: it can then be gone back to."""
        try:
            manifest = Manifest.load(self.home)
        except CatalogError:
            return
        if manifest.published is None:
            number = max([0, *self._numbers()]) + 1
            published = Published(number=number, at=manifest.built_at, note="built before it was published")
            _adopt(self.home, self._place(number), manifest.model_copy(update={"published": published}))

    def _enforce(self, number: int) -> None:
        place = self._place(number)
        aside = self.home.with_name(f".{self.home.name}.in-force-{uuid.uuid4().hex[:8]}")
        try:
            _adopt(place, aside, Manifest.load(place))
            swap_folder(aside, self.home)
        except OSError as error:
            raise CatalogError(
                f"{self.home} cannot be replaced: {error}.",
                way_out="Check disk and permissions; it is as it was.",
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _prune(self) -> None:
        now = self.in_force()
        spare = [number for number in self._numbers() if number != now]
        for number in spare[: max(0, len(spare) + 1 - self.keep)]:
            shutil.rmtree(self._place(number))

    def _note(self, action: str, number: int, author: str, note: str) -> None:
        line = {"at": datetime.now(UTC).isoformat(), "action": action, "number": number}
        with (self.folder / _HISTORY).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**line, "author": author, "note": note}, ensure_ascii=False) + "\n")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("a")
        except OSError as error:
            raise CatalogError(
                f"{self.folder} cannot be written: {error}.", way_out="Check its permissions."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CatalogError(
                    f"A version of {self.home} is being published or rolled back.",
                    way_out="Try again when it is done.",
                ) from error
            yield


def _verify(place: Path, encoder: Encoder | None) -> None:
    """Read all of a version, as a worker would, and compare its hashes."""
    manifest = Manifest.load(place)
    for name in manifest.files:
        manifest.check(place, name, verify=True)
    Catalog.open(place)
    if encoder is not None:
        VectorIndex.open(place, encoder)


def _adopt(source: Path, place: Path, manifest: Manifest) -> None:
    """``place`` becomes the folder of ``source``'s files with this manifest, by links where that works."""
    space = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    try:
        space.mkdir(parents=True)
        for name in manifest.files:
            try:
                os.link(source / name, space / name)
            except OSError:
                shutil.copyfile(source / name, space / name)
        (space / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        space.rename(place)
    except OSError as error:
        raise CatalogError(
            f"{place} cannot be written: {error}.", way_out="Check disk and permissions."
        ) from error
    finally:
        shutil.rmtree(space, ignore_errors=True)
