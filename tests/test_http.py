"""HTTP against a real server on a loopback port, with everything that goes wrong on the way."""

import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
from email.utils import formatdate
from pathlib import Path
from time import monotonic, time

import pytest
from faulty_server import Answer, Fault, FaultyServer

from matembed._http import HashMismatchError, HttpError, OfflineError, download, get_json, open_session

FILE = os.urandom(1 << 18) * 12  # 3 MiB: several chunks
FIRST = 1 << 19
SHA256 = hashlib.sha256(FILE).hexdigest()
VALUE = {"data": ["NaCl", "Å" * 5000]}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    monkeypatch.delenv("MATEMBED_OFFLINE", raising=False)


@pytest.fixture
def server():
    with FaultyServer() as server:
        server.files["/a.bin"] = FILE
        server.handlers["/page"] = lambda request: Answer(json.dumps(VALUE, ensure_ascii=False).encode(), headers=JSON)
        server.handlers["/echo"] = lambda request: Answer(json.dumps(request.query).encode(), headers=JSON)
        yield server


def start_of(request):
    """Tell from which byte on a file was asked for."""
    return int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- pages of JSON


def test_a_page_is_what_the_server_says_and_says_who_asks(server):
    assert get_json(server.url + "/page") == VALUE
    assert server.requests[0].headers["User-Agent"].startswith("matembed/")


def test_parameters_join_those_of_the_address(server):
    assert get_json(server.url + "/echo?a=1", params={"filter": 'elements HAS "Ti"'}) == {
        "a": "1",
        "filter": 'elements HAS "Ti"',
    }


PASSING = {
    "throttled": Fault(status=429, headers={"Retry-After": "0"}),
    "throttled until a date": Fault(status=429, headers={"Retry-After": formatdate(time() - 5, usegmt=True)}),
    "throttled, not saying how long": Fault(status=429),
    "Retry-After that is none": Fault(status=503, headers={"Retry-After": "soon"}),
    "server error": Fault(status=500),
    "bad gateway": Fault(status=502, body=b"<html>", headers={"Content-Type": "text/html"}),
    "gateway timeout": Fault(status=504),
    "cut before the body": Fault(cut=0),
    "cut within the body": Fault(cut=500),
    "cut where no length was said": Fault(cut=500, length=False),
    "silent": Fault(stall=10),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_leaves_no_trace(server, fault):
    server.faults.extend([fault, fault])
    assert get_json(server.url + "/page", silence=0.2) == VALUE
    assert len(server.requests) == 3


def test_a_session_outlives_the_faults_of_its_pages(server):
    server.faults.extend([None, Fault(cut=10), None, Fault(status=500)])
    with open_session() as session:
        assert [get_json(server.url + "/page", session=session) for _ in range(3)] == [VALUE] * 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=503, body=b"down for repair", headers={"Content-Type": "text/plain"}), "503.*down for repair"),
        (Fault(status=429), "429"),
        (Fault(cut=3), "the connection was cut"),
        (Fault(stall=3), "no answer within 0.05 s"),
    ],
)
def test_a_fault_that_stays_is_given_up_with_one_line(server, fault, said):
    server.standing = fault
    with pytest.raises(HttpError, match=rf"/page: .*{said}.*given up after try 6\. Try again later") as caught:
        get_json(server.url + "/page", silence=0.05)
    assert "\n" not in str(caught.value)
    assert caught.value.status == fault.status
    assert len(server.requests) == 6


def test_a_wait_that_is_too_long_is_not_waited_for(server):
    server.standing = Fault(status=429, headers={"Retry-After": "3600"})
    start = monotonic()
    with pytest.raises(HttpError, match="asks to wait 3600 s"):
        get_json(server.url + "/page")
    assert monotonic() - start < 5
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "said"), [(400, "what was asked for"), (401, "key"), (403, "key"), (404, "address")]
)
def test_a_refusal_is_not_repeated_and_names_the_remedy(server, status, said):
    server.standing = Fault(status=status, body=b'{"errors": [1]}', headers=JSON)
    with pytest.raises(HttpError, match=rf"answers {status} .*\[1\].*check .*{said}") as caught:
        get_json(server.url + "/page")
    assert (caught.value.status, caught.value.answer) == (status, '{"errors": [1]}')
    assert len(server.requests) == 1


def test_a_page_of_something_else_is_told_at_once(server):
    server.handlers["/page"] = lambda request: Answer(b"<html>hello</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(HttpError, match="answers no JSON but text/html; check the address"):
        get_json(server.url + "/page")
    assert len(server.requests) == 1


def test_a_page_is_not_larger_than_allowed_even_when_compressed(server):
    bomb = gzip.compress(b" " * 10_000_000)
    server.handlers["/page"] = lambda request: Answer(bomb, headers=JSON | {"Content-Encoding": "gzip"})
    with pytest.raises(HttpError, match="more than 1,000,000 bytes"):
        get_json(server.url + "/page", max_bytes=1_000_000)


def test_nobody_there_is_one_line():
    with pytest.raises(HttpError, match="the connection was refused"):
        get_json("http://127.0.0.1:9/page")
    with pytest.raises(HttpError, match=r"no-such-host\.invalid is not found"):
        get_json("http://no-such-host.invalid/page")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a", "/a", "http://", "javascript:1", ""])
def test_only_http_and_https_are_spoken(url, tmp_path):
    with pytest.raises(ValueError, match="begins with http:// or https://"):
        get_json(url)
    with pytest.raises(ValueError, match="begins with http:// or https://"):
        download(url, tmp_path / "a")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/a", "file:///etc/passwd"])
def test_a_redirect_out_of_http_is_not_followed(server, target):
    server.faults.append(Fault(status=302, headers={"Location": target}))
    with pytest.raises(HttpError, match=r"redirects to .*, which is not followed"):
        get_json(server.url + "/page")


def test_a_redirect_to_no_address_is_one_line(server):
    server.faults.append(Fault(status=302, headers={"Location": "http://[::1"}))
    with pytest.raises(HttpError, match="redirects to what is no address"):
        get_json(server.url + "/page")


def test_a_server_that_drips_is_not_waited_for(server, tmp_path):
    server.files["/slow"] = bytes(2000)
    server.standing = Fault(drip=0.05)  # 20 bytes a second, which is no silence
    with pytest.raises(HttpError, match=r"sent no more than \d+ bytes in \d+ s"):
        download(server.url + "/slow", tmp_path / "slow", sha256=SHA256, silence=0.3)
    with pytest.raises(HttpError, match="sent no more than"):
        get_json(server.url + "/slow", silence=0.3)
    assert len(server.requests) == 2


def test_what_a_server_says_does_not_steer_the_terminal(server):
    server.standing = Fault(status=404, body=b"gone \x1b[2J away", headers={"Content-Type": "text/plain"})
    with pytest.raises(HttpError, match=r"404 .*: gone \[2J away"):
        get_json(server.url + "/page")


def test_a_redirect_within_http_is_followed(server):
    server.faults.append(Fault(status=302, headers={"Location": "/page"}))
    assert get_json(server.url + "/elsewhere") == VALUE


def test_the_password_of_an_address_is_not_shown(server):
    server.standing = Fault(status=404)
    with pytest.raises(HttpError) as caught:
        get_json(server.url.replace("http://", "http://me:secret@") + "/page")
    assert "secret" not in str(caught.value)


def test_the_offline_switch(server, tmp_path, monkeypatch):
    download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256)
    monkeypatch.setenv("MATEMBED_OFFLINE", "1")
    with pytest.raises(OfflineError, match="MATEMBED_OFFLINE forbids the network"):
        get_json(server.url + "/page")
    with pytest.raises(OfflineError, match="MATEMBED_OFFLINE"):
        download(server.url + "/a.bin", tmp_path / "b.bin", sha256=SHA256)
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE
    assert len(server.requests) == 1


# ---- files


@pytest.mark.parametrize("promise", [{}, {"size": len(FILE)}, {"sha256": SHA256}, {"sha256": SHA256.upper()}])
def test_a_file_arrives_whole(server, tmp_path, promise):
    path = download(server.url + "/a.bin", tmp_path / "deep" / "a.bin", **promise)
    assert path.read_bytes() == FILE
    assert leftovers(path.parent) == ["a.bin"]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_faults_that_pass_leave_the_same_file(server, tmp_path, fault):
    server.faults.extend([fault] * 4)
    path = download(server.url + "/a.bin", tmp_path / "a.bin", size=len(FILE), sha256=SHA256, silence=0.2)
    assert path.read_bytes() == FILE
    assert leftovers(tmp_path) == ["a.bin"]


def test_a_cut_download_goes_on_from_the_bytes_that_came(server, tmp_path):
    server.faults.extend([Fault(cut=FIRST), Fault(cut=2 * FIRST)])
    download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256)
    first, second, third = map(start_of, server.requests)
    assert first == 0 < second <= FIRST  # the end of what was sent may be lost with the connection
    assert second < third <= second + 2 * FIRST


def test_many_cuts_are_no_failure_as_long_as_bytes_come(server, tmp_path):
    server.faults.extend([Fault(cut=1 << 17)] * 20)
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE
    assert len(server.requests) == 21


def test_the_next_call_goes_on_where_the_last_was_given_up(server, tmp_path):
    server.faults.append(Fault(cut=FIRST))
    server.standing = Fault(status=503)
    with pytest.raises(HttpError, match="503"):
        download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert not (tmp_path / "a.bin").exists()
    server.standing = None
    server.requests.clear()
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE
    (request,) = server.requests
    assert 0 < start_of(request) <= FIRST


def test_a_server_that_knows_no_ranges_starts_anew(server, tmp_path):
    server.faults.extend([Fault(cut=FIRST), Fault(ranges=False)])
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE


@pytest.mark.parametrize("given", ["bytes 0-9/10", "bytes 999999-1000010/1000011", "", "items 1-2"])
def test_another_part_than_was_asked_for_is_not_joined(server, tmp_path, given):
    server.faults.append(Fault(cut=FIRST))
    wrong = Answer(FILE[:10], 206, {"Content-Range": given})
    server.handlers["/a.bin"] = lambda request: wrong if "Range" in request.headers else Answer(FILE)
    del server.files["/a.bin"]
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE
    assert [start_of(request) > 0 for request in server.requests] == [False, True, False]


def test_without_a_hash_the_parts_of_two_versions_are_never_joined(server, tmp_path):
    versions = iter([(b"a" * 2_000_000, '"1"'), (b"b" * 2_000_000, '"2"')])

    def newest(request):
        body, etag = next(versions)
        return Answer(body, headers={"ETag": etag})

    del server.files["/a.bin"]
    server.handlers["/a.bin"] = newest
    server.faults.append(Fault(cut=FIRST))
    assert set(download(server.url + "/a.bin", tmp_path / "a.bin").read_bytes()) == set(b"b")
    assert server.requests[1].headers["If-Range"] == '"1"'


def test_a_part_longer_than_the_file_and_one_that_is_whole(server, tmp_path):
    part = tmp_path / f".a.bin.{SHA256[:16]}.part"
    part.write_bytes(FILE)
    assert download(server.url + "/a.bin", tmp_path / "a.bin", size=len(FILE), sha256=SHA256).read_bytes() == FILE
    assert server.requests == []
    for leftover in (FILE, FILE + b"more"):
        (tmp_path / "a.bin").unlink(missing_ok=True)
        part.write_bytes(leftover)
        assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE


def test_a_file_with_another_hash_is_not_kept(server, tmp_path):
    server.faults.append(Fault(spoil=True))
    with pytest.raises(HashMismatchError, match=f"wanted {SHA256}.*not kept"):
        download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert leftovers(tmp_path) == []
    assert download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == FILE


def test_a_file_that_is_there_is_kept_if_it_is_the_right_one(server, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    assert download(server.url + "/a.bin", path, sha256=SHA256).read_bytes() == FILE
    assert download(server.url + "/a.bin", path, sha256=SHA256).read_bytes() == FILE
    assert len(server.requests) == 1
    server.standing = Fault(status=404)
    with pytest.raises(HttpError):
        download(server.url + "/b.bin", path, sha256="0" * 64)
    assert path.read_bytes() == FILE


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("promise", [{"size": 1000}, {"max_bytes": 1000}])
def test_more_bytes_than_promised_are_refused(server, tmp_path, promise, length):
    server.standing = Fault(length=length)
    with pytest.raises(ValueError, match="1,000"):
        download(server.url + "/a.bin", tmp_path / "a.bin", **promise)
    assert leftovers(tmp_path) == []


def test_fewer_bytes_than_promised_are_refused(server, tmp_path):
    with pytest.raises(ValueError, match=r"has 3,145,728 bytes, wanted 3,145,729"):
        download(server.url + "/a.bin", tmp_path / "a.bin", size=len(FILE) + 1)
    assert leftovers(tmp_path) == []


def test_a_compressed_file_stays_compressed_whatever_the_server_calls_it(server, tmp_path):
    body = gzip.compress(b"text")
    server.handlers["/a.gz"] = lambda request: Answer(body, headers={"Content-Encoding": "gzip"})
    assert download(server.url + "/a.gz", tmp_path / "a.gz").read_bytes() == body


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_leaves_nothing(server, tmp_path):
    (tmp_path / f".a.bin.{SHA256[:16]}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"no space left for .*make room and try again") as caught:
        download(server.url + "/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert caught.value.errno == errno.ENOSPC
    assert leftovers(tmp_path) == []


def test_processes_that_want_the_same_file_share_one_download(server, tmp_path):
    code = (
        f"from matembed._http import download; "
        f"download({server.url + '/a.bin'!r}, {str(tmp_path / 'a.bin')!r}, sha256={SHA256!r})"
    )
    server.faults.append(Fault(cut=FIRST))
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert (tmp_path / "a.bin").read_bytes() == FILE
    assert leftovers(tmp_path) == ["a.bin"]
    assert len(server.requests) == 2
