"""Downloads: fetched once, verified, unpacked only inside their folder."""

import dataclasses
import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stages.core.errors import ArtifactError, DownloadError
from stages.data import download
from stages.data.download import Archive, downloaded, fetch, unpack

CONTENT = bytes(range(256)) * 100


@dataclass
class Server:
    """A local web server: its address, the paths asked for, and how many answers to spoil."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    spoil: int = 0

    def archive(self) -> Archive:
        """CONTENT, as it is described before it is fetched."""
        return Archive("plain.bin", f"{self.url}/plain.bin", hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    state = Server()
    (tmp_path / "served" / "sets").mkdir(parents=True)
    (tmp_path / "served" / "sets" / "plain.bin").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if state.spoil > 0:
                state.spoil -= 1
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        state.url = f"http://127.0.0.1:{running.server_address[1]}/sets"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


def tar_of(path: Path, members: dict[str, bytes], link: tuple[str, str] | None = None) -> Archive:
    """Write a gzipped tar, and describe it as an official archive."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = tarfile.SYMTYPE, link[1]
            tar.addfile(info)
    return Archive(path.name, f"http://official.invalid/{path.name}", hashlib.md5(path.read_bytes()).hexdigest())


def test_a_file_is_asked_for_at_its_address_once(tmp_path: Path, server: Server) -> None:
    for _ in range(2):
        assert fetch(server.archive(), tmp_path / "downloads").read_bytes() == CONTENT
    assert server.asked == ["/sets/plain.bin"]


def test_a_failing_answer_is_tried_again(tmp_path: Path, server: Server) -> None:
    server.spoil = 1
    assert fetch(server.archive(), tmp_path / "downloads").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_download_that_keeps_failing_is_one_line(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    server.spoil = 9
    with pytest.raises(DownloadError, match=r"plain\.bin: cannot be had .*503.*set `folder`") as caught:
        fetch(server.archive(), tmp_path / "downloads")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "downloads" / "plain.bin").exists()


def test_a_download_longer_than_its_file_is_cut_off_and_nothing_is_left(tmp_path: Path, server: Server) -> None:
    short = dataclasses.replace(server.archive(), size=len(CONTENT) - 1)
    with pytest.raises(DownloadError, match=r"plain\.bin sends more than its 25,599 bytes"):
        fetch(short, tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []
    whole = dataclasses.replace(server.archive(), size=len(CONTENT))
    assert fetch(whole, tmp_path / "downloads").read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_left(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    (tmp_path / "served" / "sets" / "plain.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match=r"plain\.bin.*hash"):
        fetch(server.archive(), tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_kept_file_that_was_altered_is_fetched_again(tmp_path: Path, server: Server) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "plain.bin").write_bytes(b"altered")
    assert fetch(server.archive(), tmp_path / "downloads").read_bytes() == CONTENT


def test_a_tar_is_unpacked_for_the_time_of_reading_and_kept_as_it_came(tmp_path: Path, server: Server) -> None:
    tar = tar_of(tmp_path / "served" / "sets" / "set.tar.gz", {"set/one.txt": b"1"})
    archive = Archive(tar.name, f"{server.url}/{tar.name}", tar.md5)
    with downloaded([archive], tmp_path / "downloads") as folder:
        assert (folder / "set" / "one.txt").read_bytes() == b"1"
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["set.tar.gz"]


@pytest.mark.parametrize("link", [("set/link", "../../outside"), ("set/link", "/etc/passwd")])
def test_a_tar_member_that_links_outside_is_refused(tmp_path: Path, link: tuple[str, str]) -> None:
    tar_of(tmp_path / "bad.tar.gz", {}, link)
    with pytest.raises(ArtifactError, match="leaves the folder"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "inside")


def test_a_cut_tar_is_an_error(tmp_path: Path) -> None:
    tar_of(tmp_path / "cut.tar.gz", {"one.bin": hashlib.sha256(b"").digest() * 1000})
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "cut.tar.gz").read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="not a readable tar"):
        unpack(tmp_path / "cut.tar.gz", tmp_path / "inside")
