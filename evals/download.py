"""Downloads published files: resumable, and nothing is taken whose size or checksum is not the recorded one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from evals.files import check_writable
from evals.progress import Progress
from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.llm.endpoint import is_web_address

MIRROR = "https://raw.githubusercontent.com"
_FRUITLESS = 3
"""After so many answers in a row that bring nothing the server is given up."""
_TIMEOUT = 60.0
_CHUNK = 1 << 18
_MIB = 20
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file."""

    path: str
    """Where it is kept, below the destination."""
    address: str
    """Where it is found, below the mirror."""
    checksum: str
    """``sha256:`` or ``git:`` (git's id of the content) and hexadecimal digits."""
    size: int | None
    """In bytes; None where it is not recorded."""


def multiwoz_files() -> list[RemoteFile]:
    """Return MultiWOZ's files: 2.2, the tables, and ConvLab's zips of 2.1 with the goals."""
    table = packaged_toml(__package__, "multiwoz_files.toml")
    return [
        RemoteFile(f"{folder}/{name}", f"{part['address']}/{name}", facts["checksum"], facts.get("size"))
        for folder, part in table.items()
        for name, facts in part["files"].items()
    ]


def download(remote: Sequence[RemoteFile], dest: Path, mirror: str = MIRROR) -> None:
    """Bring ``remote`` into ``dest``; what is there already, whole or in part, is not fetched again.

    A file whose content is not the recorded one is put aside as ``NAME.wrong``.

    Args:
        remote: What to fetch.
        dest: Folder, made where it does not exist.
        mirror: Where the addresses begin, a copy of raw.githubusercontent.com.

    Raises:
        TdGymError: The server cannot be reached, lacks a file, breaks off again and again or sends something
            else than was published; the message names the address, and what is to be done.
    """
    if any(mark in mirror for mark in "@?#"):
        raise TdGymError("Leave user, password and everything behind ? or # out of the mirror's address.")
    if not is_web_address(mirror):
        raise TdGymError(f"The mirror must be an address with http:// or https://, not {mirror!r}.")
    check_writable(dest)
    finished = 0
    with Progress("downloading, MiB", sum(file.size or 0 for file in remote) >> _MIB) as progress:

        def came(position: int) -> None:
            progress.advance(max(0, (finished + position >> _MIB) - progress.done))

        for file in remote:
            _bring(file, dest / file.path, f"{mirror.rstrip('/')}/{file.address}", came if file.size else _silent)
            finished += file.size or 0
            came(0)


def _silent(position: int) -> None:
    """Say nothing: a file without a size is not in the total."""


def _bring(file: RemoteFile, target: Path, url: str, came: Callable[[int], None]) -> None:
    aside = target.with_name(f"{target.name}.wrong")
    if target.exists():
        if not _fault(file, target):
            return
        target.replace(aside)
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    _fetch(file, part, url, came)
    fault = _fault(file, part)
    if fault:
        part.replace(aside)
        raise TdGymError(f"{url} {fault}: it is not the file that was published and was put aside as {str(aside)!r}.")
    part.replace(target)


def _fault(file: RemoteFile, path: Path) -> str:
    """Say in what ``path`` differs from the recorded ``file``; empty when it does not."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"has {size} bytes instead of {file.size}"
    kind, _, digits = file.checksum.partition(":")
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if kind == "git" else hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return "" if digest.hexdigest() == digits else f"has the {kind} checksum {digest.hexdigest()} instead of {digits}"


def _fetch(file: RemoteFile, part: Path, url: str, came: Callable[[int], None]) -> None:
    """Ask for what is missing from ``part`` until it is whole."""
    fruitless = 0
    while fruitless < _FRUITLESS:
        before = part.stat().st_size if part.exists() else 0
        if before == file.size or _append(url, part, before, came):
            return
        fruitless = 0 if part.stat().st_size > before else fruitless + 1
    raise TdGymError(f"{url} breaks off at byte {before}, {_FRUITLESS} times in a row; run the command again to go on.")


def _append(url: str, part: Path, start: int, came: Callable[[int], None]) -> bool:
    """Append the content of ``url`` from byte ``start`` on, and return whether its end was reached.

    A server that knows no ranges sends all of it: then ``part`` begins anew.
    """
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(request, timeout=_TIMEOUT) as answer:
            resumed = answer.status == _PARTIAL
            position = start if resumed else 0
            end = position + (answer.length or 0)
            with part.open("ab" if resumed else "wb") as content:
                while chunk := answer.read(_CHUNK):
                    content.write(chunk)
                    position += len(chunk)
                    came(position)
    except HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE:
            return True  # nothing is missing; the checksum tells whether what is there is right
        raise TdGymError(f"{url} answers {error.code} {error.reason}; check the mirror, or try again later.") from error
    except URLError as error:
        raise TdGymError(f"{url} cannot be reached ({error.reason}); run the command again to go on.") from error
    except (HTTPException, ConnectionError, TimeoutError):
        part.touch()
        return False
    return position >= end
