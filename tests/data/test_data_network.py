"""A host that does not answer is noticed in time. Every host here is this machine's loopback."""

import http.server
import socket
import threading
import time

import pytest

from jaxact.data import network


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    """A server that has /file only, and records what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path.endswith("/file") else 403)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


@pytest.fixture
def silent():
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file"


def test_a_file_that_is_there(server):
    assert network.why_unreachable(f"{server[0]}/file") is None


def test_a_file_that_is_refused(server):
    assert network.why_unreachable(f"{server[0]}/other") == "127.0.0.1 answered 403"


def test_a_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert network.why_unreachable(f"http://127.0.0.1:{port}/file") == "127.0.0.1 cannot be reached (ConnectionError)"


def test_a_host_that_says_nothing(silent):
    start = time.monotonic()
    assert network.why_unreachable(silent, timeout=0.3) == "127.0.0.1 did not answer within 0.3 s"
    assert time.monotonic() - start < 2


def test_a_name_look_up_that_hangs(monkeypatch):
    """No HTTP library limits the look-up's time, so only the thread does."""
    done = threading.Event()
    monkeypatch.setattr(network, "_ask", lambda *_: done.wait(10))
    start = time.monotonic()
    assert network.why_unreachable("http://far.example/file", timeout=0.2) == "far.example did not answer within 0.2 s"
    assert time.monotonic() - start < 2
    done.set()


def test_proxies_are_respected(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server[0])
    assert network.why_unreachable("http://far.example/file") is None
    assert network.why_unreachable("http://far.example/other") == "far.example answered 403"
    assert server[1] == ["http://far.example/file", "http://far.example/other"]


def test_the_time_limit_is_five_seconds():
    assert network.TIMEOUT == 5.0
