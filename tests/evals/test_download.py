"""Downloads from a server on this machine that breaks off, knows no ranges, lacks files or sends other ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evals import cli, download
from evals.download import RemoteFile, multiwoz_files
from td_gym.errors import TdGymError

CONTENT = bytes(range(256)) * 3000
SMALL = b"names\n"


@dataclass
class Server:
    """What the server has, how it answers, and what it was asked."""

    files: dict[str, bytes]
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    length: str = ""
    """What it says of the length of its answers, in place of the truth."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server({"/a/big.bin": CONTENT, "/a/small.txt": SMALL})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            told.asked.append((self.path, wanted))
            if self.path not in told.files:
                self.send_error(404)
                return
            content = told.files[self.path]
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and told.ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", told.length or str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: told.breaks.pop(0) if told.breaks else None])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told.url = f"http://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield told
        http.shutdown()
        thread.join()


def remote(name: str, content: bytes, size: int | None = None) -> RemoteFile:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return RemoteFile(f"kept/{name}", f"a/{name}", checksum, size or len(content))


FILES = [remote("big.bin", CONTENT), remote("small.txt", SMALL)]


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("kept/*")}


def test_files_are_brought_once(tmp_path: Path, server: Server) -> None:
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT, "small.txt": SMALL}
    assert len(server.asked) == 2
    download.download(FILES, tmp_path, server.url)
    assert len(server.asked) == 2


def test_an_answer_that_breaks_off_is_gone_on_with(tmp_path: Path, server: Server) -> None:
    server.breaks = [100_000, 0, 50_000]
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT, "small.txt": SMALL}
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-", None]


def test_a_server_that_breaks_off_for_good_is_given_up_and_gone_on_with_later(tmp_path: Path, server: Server) -> None:
    server.breaks = [70_000, 0, 0, 0]
    with pytest.raises(TdGymError, match=r"a/big\.bin breaks off at byte 70000, 3 times in a row; run"):
        download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin.part": CONTENT[:70_000]}
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT, "small.txt": SMALL}
    assert server.asked[-2] == ("/a/big.bin", "bytes=70000-")


def test_a_server_without_ranges_begins_anew(tmp_path: Path, server: Server) -> None:
    server.ranges = False
    server.breaks = [100_000]
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path)["big.bin"] == CONTENT


def test_a_whole_part_is_not_asked_for_again(tmp_path: Path, server: Server) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "big.bin.part").write_bytes(CONTENT)
    download.download(FILES[:1], tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT}
    assert server.asked == []


def test_a_part_without_a_recorded_size_may_be_whole(tmp_path: Path, server: Server) -> None:
    unsized = RemoteFile("kept/small.txt", "a/small.txt", FILES[1].checksum, None)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "small.txt.part").write_bytes(SMALL)
    download.download([unsized], tmp_path, server.url)
    assert kept(tmp_path) == {"small.txt": SMALL}


@pytest.mark.parametrize(
    ("sent", "words"),
    [(CONTENT[::-1], "has the sha256 checksum"), (CONTENT + b"!", "has 768001 bytes instead of 768000")],
)
def test_other_content_is_refused_and_put_aside(tmp_path: Path, server: Server, sent: bytes, words: str) -> None:
    server.files["/a/big.bin"] = sent
    with pytest.raises(TdGymError, match=rf"a/big\.bin {words}.*put aside as .*big\.bin\.wrong"):
        download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin.wrong": sent}
    server.files["/a/big.bin"] = CONTENT
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path)["big.bin"] == CONTENT


def test_a_file_that_was_changed_is_put_aside_and_brought_again(tmp_path: Path, server: Server) -> None:
    download.download(FILES, tmp_path, server.url)
    (tmp_path / "kept" / "small.txt").write_bytes(b"NAMES\n")
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT, "small.txt": SMALL, "small.txt.wrong": b"NAMES\n"}


def test_a_part_of_another_file_is_found_out(tmp_path: Path, server: Server) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "big.bin.part").write_bytes(b"?" * 1000)
    with pytest.raises(TdGymError, match="put aside"):
        download.download(FILES, tmp_path, server.url)
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path)["big.bin"] == CONTENT


def test_git_ids_are_checked(tmp_path: Path, server: Server) -> None:
    digits = hashlib.sha1(b"blob 6\0" + SMALL).hexdigest()
    right = RemoteFile("kept/small.txt", "a/small.txt", f"git:{digits}", None)
    download.download([right], tmp_path, server.url)
    assert kept(tmp_path) == {"small.txt": SMALL}
    wrong = RemoteFile("kept/again.txt", "a/small.txt", f"git:{'0' * 40}", None)
    with pytest.raises(TdGymError, match=f"has the git checksum {digits} instead of 0"):
        download.download([wrong], tmp_path, server.url)


def test_a_missing_file_is_named(tmp_path: Path, server: Server) -> None:
    with pytest.raises(TdGymError, match=r"/a/nothing answers 404 Not Found; check the mirror"):
        download.download([RemoteFile("nothing", "a/nothing", "sha256:0", 1)], tmp_path, server.url)


@pytest.mark.parametrize(
    "mirror", ["ftp://host", "http://", "http://[bad", "http://localhost:abc", "http://host/a b", "http://höst"]
)
def test_a_mirror_that_is_no_address_is_named(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="The mirror must be an address with http:// or https://"):
        download.download(FILES, tmp_path, mirror)


@pytest.mark.parametrize("mirror", ["http://me:s3cret@host/", "http://host/x?token=s3cret", "http://host/#s3cret"])
def test_secrets_in_a_mirror_are_refused_and_not_repeated(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="Leave user, password") as refused:
        download.download(FILES, tmp_path, mirror)
    assert "s3cret" not in str(refused.value)


def test_a_length_that_is_no_number_is_passed_over(tmp_path: Path, server: Server) -> None:
    server.length = "abc"
    download.download(FILES, tmp_path, server.url)
    assert kept(tmp_path) == {"big.bin": CONTENT, "small.txt": SMALL}


def test_a_server_that_is_not_there_is_named(tmp_path: Path, server: Server) -> None:
    with pytest.raises(TdGymError, match=r"http://127\.0\.0\.1:1/a/big\.bin cannot be reached .*again to go on"):
        download.download(FILES, tmp_path, "http://127.0.0.1:1")


def test_the_command_downloads_and_says_so(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evals.commands.data._SETS", {"multiwoz": lambda: FILES})
    words = ["data", "multiwoz", "--dest", str(tmp_path / "d"), "--mirror", server.url]
    assert cli.main(words) == 0
    assert f"2 files in {tmp_path / 'd'}" in capsys.readouterr().out
    server.files.pop("/a/small.txt")
    (tmp_path / "d" / "kept" / "small.txt").unlink()
    assert cli.main(words) == 2
    assert "404" in capsys.readouterr().err


def test_the_recorded_files_are_the_published_ones(shared_data: Path) -> None:
    folder = shared_data / "multiwoz"
    places = {"MultiWOZ_2.2/schema.json": folder / "MultiWOZ_2.2_sample" / "schema.json"}
    here = {file: places.get(file.path, folder / file.path) for file in multiwoz_files()}
    assert sum(path.exists() for path in here.values()) == 13
    assert all(not download._fault(file, path) for file, path in here.items() if path.exists())


def test_every_part_of_multiwoz_is_recorded() -> None:
    paths = [file.path for file in multiwoz_files()]
    assert len(set(paths)) == len(paths) == 36
    for folder, count in (("train", 17), ("dev", 2), ("test", 2)):
        assert sum(path.startswith(f"MultiWOZ_2.2/{folder}/dialogues_") for path in paths) == count
    assert sum(file.size or 0 for file in multiwoz_files()) == 280_638_103
