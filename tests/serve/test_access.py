"""A server beyond loopback without a secret and TLS does not start."""

import os

import pytest

from softrl.errors import ConfigError
from softrl.serve.access import access
from softrl.serve.client import Client

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def files(tmp_path):
    """Files by name: a good token, a key and a certificate that only the owner can read."""
    paths = {}
    for name, content in {"token": TOKEN + "\n", "key": "key", "cert": "cert"}.items():
        paths[name] = tmp_path / name
        paths[name].write_text(content)
        paths[name].chmod(0o600)
    return {name: str(path) for name, path in paths.items()}


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.9:50051", "localhost:1", "[::1]:0"])
def test_loopback_needs_nothing(address):
    assert access(address, None, None, None) == (address, None, None)


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "192.168.1.5:1", "robot.example:1", "10.0.0.1:0"])
@pytest.mark.parametrize("given", [(), ("token",), ("cert", "key")])
def test_another_address_needs_a_token_and_tls(address, given, files):
    words = [files[name] if name in given else None for name in ("token", "cert", "key")]
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        access(address, *words)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:", ":50051", "127.0.0.1:http", "127.0.0.1:65536", ""])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="host:port"):
        access(address, None, None, None)


@pytest.mark.parametrize("token", ["", "short", TOKEN[:-1], TOKEN + " two", "ü" * 40])
def test_a_weak_token_is_refused(token, files):
    with open(files["token"], "w") as file:
        file.write(token)
    with pytest.raises(ConfigError, match="at least 32"):
        access("127.0.0.1:0", files["token"], None, None)


def test_a_token_that_others_can_read_is_refused(files):
    os.chmod(files["token"], 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        access("127.0.0.1:0", files["token"], None, None)


def test_missing_files_and_half_of_tls_are_refused(files):
    with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
        access("127.0.0.1:0", "nowhere", None, None)
    with pytest.raises(ConfigError, match="both files"):
        access("127.0.0.1:0", None, files["cert"], None)


def test_a_client_sends_no_token_where_others_could_read_it(files):
    with pytest.raises(ConfigError, match="in the clear: give tls_ca"):
        Client("robot.example:50051", "arm", token_file=files["token"], patience=0)
