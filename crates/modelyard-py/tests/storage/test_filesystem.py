"""`FileSystem` on each kind of server: what Python programs expect of files."""

from __future__ import annotations

import errno
import io
import os
import pickle
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.storage import (
    FileSystem,
    NFSError,
    NFSFile,
    NFSLockError,
    StorageError,
    WebDAVClient,
    WebDAVFileSystem,
    WebDAVLockError,
)

from .conftest import Servers


@pytest.fixture
def fs(configured: Servers, backend: str) -> Iterator[FileSystem]:
    with FileSystem() as files:
        assert files.backend_type == backend
        yield files


@pytest.fixture
def servers_of(configured: Servers) -> Servers:
    return configured


def test_text_lines_newlines_and_encodings_are_those_of_open(fs: FileSystem) -> None:
    text = "eins\nzwei ü\r\n三\n"
    with fs.open("a/b/text.txt", "w", encoding="utf-8", newline="") as f:
        assert f.write(text) == len(text)
    with fs.open("gmifs://a/b/text.txt", "r", encoding="utf-8") as f:
        assert f.readline() == "eins\n"
        assert list(f) == ["zwei ü\n", "三\n"]
    with fs.open("a/b/text.txt", "rb") as f:
        assert f.readlines() == text.encode().splitlines(keepends=True)
    with fs.open("a/b/text.txt", "w", encoding="utf-16") as f:
        f.write("x")
    with fs.open("a/b/text.txt", encoding="utf-16") as f:
        assert f.read() == "x"


def test_readline_of_many_lines_needs_no_request_per_line(fs: FileSystem) -> None:
    lines = [f"line {number}\n" for number in range(20_000)]
    with fs.open("lines", "w") as f:
        f.writelines(lines)
    with fs.open("lines") as f:
        assert [f.readline() for _ in lines] == lines
        assert f.readline() == ""


def test_it_does_what_a_local_file_does(fs: FileSystem, tmp_path: Any) -> None:
    local = tmp_path / "model"
    dice = random.Random(7)
    with open(local, "w+b") as mine, fs.open("model", "w+b") as theirs:
        assert isinstance(theirs, io.BufferedRandom)
        for _ in range(300):
            step, at = dice.randrange(6), dice.randrange(100_000)
            if step == 0:
                assert mine.seek(at) == theirs.seek(at)
            elif step == 1:
                data = dice.randbytes(dice.randrange(5000))
                assert mine.write(data) == theirs.write(data)
            elif step == 2:
                assert mine.read(at % 9000) == theirs.read(at % 9000)
            elif step == 3:
                assert mine.seek(-min(5, mine.seek(0, 2)), 2) == theirs.seek(
                    -min(5, theirs.seek(0, 2)), 2
                )
            elif step == 4 and at % 5 == 0:
                assert mine.truncate(at % 50_000) == theirs.truncate(at % 50_000)
            else:
                assert mine.readline(80) == theirs.readline(80)
            assert mine.tell() == theirs.tell()
    with fs.open("model", "rb") as f:
        assert f.read() == local.read_bytes()


def test_large_files_go_through_whole(fs: FileSystem, servers_of: Servers, backend: str) -> None:
    data = random.Random(1).randbytes(5_000_001)
    with fs.open("large.bin", "wb") as f:
        for start in range(0, len(data), 70_000):
            f.write(data[start : start + 70_000])
    assert servers_of.inside(backend, "large.bin").read_bytes() == data
    with fs.open("large.bin", "rb") as f:
        assert f.read() == data
    pieces = []
    with fs.open("large.bin", "rb", buffering=0) as raw:
        while piece := raw.read(300_000):
            pieces.append(piece)
    assert b"".join(pieces) == data


def test_what_is_flushed_can_be_read_by_others(fs: FileSystem) -> None:
    with fs.open("shared", "w") as f:
        f.write("now")
        f.flush()
        with fs.open("shared") as other:
            assert other.read() == "now"


def test_append_exclusive_and_update_modes(fs: FileSystem) -> None:
    for word in ("one", "two"):
        with fs.open("log", "a") as f:
            f.write(word)
    with fs.open("log", "a+") as f:
        assert f.tell() == 6
        f.seek(0)
        assert f.read() == "onetwo"
        f.write("!")
    with fs.open("log", "r+") as f:
        f.write("ONE")
    assert fs.open("log").read() == "ONEtwo!"
    with pytest.raises(FileExistsError):
        fs.open("log", "x")
    fs.open("fresh", "x").close()
    assert fs.getsize("fresh") == 0


@pytest.mark.parametrize("mode", ["", "q", "rw", "rr", "b", "rbt", "w+x"])
def test_modes_that_python_refuses_are_refused(fs: FileSystem, mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        fs.open("f", mode)
    assert not fs.exists("f")


def test_a_file_refuses_what_its_mode_does_not_allow(fs: FileSystem) -> None:
    with fs.open("f", "wb") as f, pytest.raises(io.UnsupportedOperation):
        f.read()
    with fs.open("f", "rb") as f, pytest.raises(io.UnsupportedOperation):
        f.write(b"x")
    with pytest.raises(ValueError, match="closed"):
        f.read()
    with pytest.raises(ValueError, match="binary mode"):
        fs.open("f", "rb", encoding="utf-8")
    with pytest.raises(ValueError, match="unbuffered text"):
        fs.open("f", "r", buffering=0)


def test_folders(fs: FileSystem) -> None:
    fs.mkdir("data/images", parents=True, exist_ok=True)
    fs.mkdir("data/images", exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.mkdir("data/images")
    with pytest.raises(FileNotFoundError):
        fs.mkdir("no/parent")
    for name in ("b.txt", "a.txt"):
        fs.open(f"data/{name}", "w").close()
    assert fs.listdir("data") == ["a.txt", "b.txt", "images"]
    assert [(e.name, e.path, e.is_dir) for e in fs.scandir("data")][2] == (
        "images",
        "data/images",
        True,
    )
    assert list(fs.walk()) == [
        ("", ["data"], []),
        ("data", ["images"], ["a.txt", "b.txt"]),
        ("data/images", [], []),
    ]
    with pytest.raises(OSError) as error:
        fs.rmdir("data")
    assert error.value.errno == errno.ENOTEMPTY
    fs.rmdir("data/images")
    assert not fs.exists("data/images")


def test_what_is_known_of_a_file(fs: FileSystem, backend: str) -> None:
    with fs.open("d/f.bin", "wb") as f:
        f.write(bytes(700))
    known = fs.stat("d/f.bin")
    assert (known.size, known.is_file, known.is_dir, known.name) == (700, True, False, "f.bin")
    assert known.mtime > 1.6e9
    assert fs.getsize("d/f.bin") == 700
    assert (fs.isfile("d/f.bin"), fs.isdir("d/f.bin")) == (True, False)
    assert (fs.isfile("d"), fs.isdir("d"), fs.exists("none")) == (False, True, False)
    assert not fs.exists("d/f.bin/below")
    if backend == "webdav":
        with pytest.raises(OSError) as error:
            fs.chmod("d/f.bin", 0o600)
        assert error.value.errno == errno.EOPNOTSUPP
    else:
        fs.chmod("d/f.bin", 0o600)
        assert fs.stat("d/f.bin").mode & 0o777 == 0o600


def test_rename_copy_and_remove(fs: FileSystem) -> None:
    with fs.open("a", "w") as f:
        f.write("content")
    fs.copy("a", "b")
    fs.rename("a", "c")
    assert fs.listdir() == ["b", "c"]
    assert fs.open("b").read() == fs.open("c").read() == "content"
    fs.remove("b")
    fs.unlink("c")
    with pytest.raises(FileNotFoundError) as error:
        fs.remove("c")
    assert error.value.errno == errno.ENOENT
    assert isinstance(error.value, StorageError)


def test_nothing_leads_out_of_the_users_folder(
    fs: FileSystem, servers_of: Servers, backend: str
) -> None:
    neighbour = servers_of.inside(backend, "../you")
    neighbour.mkdir()
    (neighbour / "secret").write_text("not yours")
    for path in ("../you/secret", "gmifs://../you/secret", "a/../../you/secret", "/../you/secret"):
        with pytest.raises(PermissionError, match="outside user directory"):
            fs.open(path)
    with pytest.raises(PermissionError):
        fs.rename("../you/secret", "mine")
    if backend != "webdav":
        os.symlink(neighbour / "secret", servers_of.inside(backend, "link"))
        with pytest.raises(PermissionError, match="outside user directory"):
            fs.open("link")
        with pytest.raises(PermissionError):
            fs.open("link", "w")
    assert (neighbour / "secret").read_text() == "not yours"


def test_many_threads_share_one_file_system(fs: FileSystem) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            data = random.Random(number).randbytes(200_000)
            with fs.open(f"t/{number}", "wb") as f:
                f.write(data)
            with fs.open(f"t/{number}", "rb") as f:
                assert f.read() == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_locks(fs: FileSystem, backend: str) -> None:
    with fs.open("counter", "w") as f:
        f.write("1")
    if backend == "nfs":
        with pytest.raises(OSError, match=r"NFS 4\.1"), fs.locked_open("counter", "r+"):
            pass
        return
    with fs.locked_open("counter", "r+") as f:
        assert isinstance(f, NFSFile)
        with fs.open("counter", "r+") as other:
            assert not other.try_lock()
            with pytest.raises(BlockingIOError):
                other.lock(blocking=False)
        with pytest.raises(OSError) as error, fs.locked_open("counter", "w", timeout=0.3):
            pass
        assert error.value.errno == errno.EAGAIN
        assert isinstance(error.value, WebDAVLockError if backend == "webdav" else StorageError)
        assert f.read() == "1", "waiting for the lock has emptied nothing"
    with fs.locked_open("counter", "w", blocking=False) as f:
        f.write("2")
    assert fs.open("counter").read() == "2"


def test_errors_can_be_sent_to_other_processes_and_have_families() -> None:
    from modelyard.storage.errors import error_of

    error = error_of("nfs", errno.ENOENT, "a: no such file")
    assert isinstance(error, NFSError) and isinstance(error, FileNotFoundError)
    assert isinstance(error_of("nfs", errno.EAGAIN, "a"), NFSLockError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_webdav_by_its_own_names(servers: Servers, tmp_path: Any) -> None:
    address = f"http://127.0.0.1:{servers.webdav}"
    with WebDAVFileSystem(address) as files:
        assert files.backend_type == "webdav"
    client = WebDAVClient(address)
    client.mkdir("/pub/deep", parents=True)
    client.write_text("/pub/deep/a.txt", "ä")
    client.download("/pub/deep/a.txt", str(tmp_path / "a.txt"))
    assert (tmp_path / "a.txt").read_text("utf-8") == client.read_text("/pub/deep/a.txt") == "ä"
    client.copy("/pub/deep/a.txt", "/pub/b.txt")
    assert client.listdir("/pub") == ["b.txt", "deep"]
    assert (servers.folder / "pub/b.txt").read_bytes() == "ä".encode()
