"""Who may talk to a server: loopback is open; any other address wants a token and TLS."""

import hmac
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grpc

from softrl.errors import ConfigError
from softrl.serve import wire

TOKEN_LENGTH = 32
"""Shortest token in characters: 128 bits in hexadecimal."""

_OPEN = "/grpc.health.v1.Health/"  # a probe knows no token, and learns nothing but that somebody is there


class Access(NamedTuple):
    """Where a server listens and what it asks for. address: `host:port`. token: None where none is asked for."""

    address: str
    token: bytes | None
    credentials: grpc.ServerCredentials | None


def access(address: str, token_file: str | None, tls_cert: str | None, tls_key: str | None) -> Access:
    """Reads the files and checks the address.

    Raises: ConfigError: an address that is none, one beyond loopback without a token and TLS, or a file that is
      missing, too short or readable by others.
    """
    _require_port(address)
    if bool(tls_cert) != bool(tls_key):
        raise ConfigError("TLS needs both files: --tls-cert and --tls-key")
    if not wire.is_loopback(address) and not (token_file and tls_cert):
        raise ConfigError(
            f"{address} can be reached from other machines: give --token-file, --tls-cert and --tls-key, or listen on "
            "127.0.0.1"
        )
    token = _read_token(token_file) if token_file else None
    credentials = None
    if tls_cert and tls_key:
        pair = (_read_secret(tls_key, "--tls-key"), wire.read_file(tls_cert, "--tls-cert"))
        credentials = grpc.ssl_server_credentials([pair])
    return Access(address, token, credentials)


def _read_token(path: str) -> bytes:
    token = _read_secret(path, "--token-file").strip()
    if len(token) < TOKEN_LENGTH or not token.isascii() or len(token.split()) != 1:
        raise ConfigError(
            f"--token-file {path}: expected one word of at least {TOKEN_LENGTH} ASCII characters, got {len(token)}; "
            "make one: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return token


class TokenCheck(grpc.ServerInterceptor):
    """Refuses a call without the token, before anything of its body is read."""

    def __init__(self, token: bytes, refused: Callable[[], None]):
        self._expected = wire.bearer(token.decode()).encode()
        self._refused = refused

    def intercept_service(self, continuation, handler_call_details):
        """The call's own handler, or one that refuses it; a handler of streams is handed no message yet."""
        given = [value for key, value in handler_call_details.invocation_metadata if key == wire.TOKEN_KEY]
        sent = given[0] if len(given) == 1 else ""
        sent = sent if isinstance(sent, bytes) else sent.encode(errors="replace")
        if hmac.compare_digest(sent, self._expected) or handler_call_details.method.startswith(_OPEN):
            return continuation(handler_call_details)
        self._refused()
        return grpc.stream_unary_rpc_method_handler(
            lambda requests, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")
        )


def _require_port(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ConfigError(f"address must be host:port, for example 127.0.0.1:50051, got {address!r}")


def _read_secret(path: str, flag: str) -> bytes:
    content = wire.read_file(path, flag)
    if stat.S_IMODE(Path(path).stat().st_mode) & 0o077:
        raise ConfigError(f"{flag} {path} can be read by others: chmod 600 {path}")
    return content
