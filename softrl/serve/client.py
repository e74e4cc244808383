"""An actor's side: push transitions, pull policies. NumPy, grpcio, protobuf and safetensors; neither JAX nor a learner.

from softrl.serve.client import Client

with Client("127.0.0.1:50051", actor="arm-1") as client:
    policy = client.pull()
    client.push({"obs": …, "action": …, "reward": …, "terminated": …, "next_obs": …})   # [B, ...] each
"""

import contextlib
import secrets
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from softrl.errors import BatchError, ConfigError, ServerError
from softrl.numpy_policy import NumpyPolicy
from softrl.serve import protocol, wire

_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_CALL_S = 30.0
_SILENT_S = 10.0

_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),  # a learner stands near its actors, not behind a web proxy
    ("grpc.enable_retries", 0),  # retries are ours, with the same sequence number
    ("grpc.use_local_subchannel_pool", 1),
)


class _RefusedError(ServerError):
    """A push that the server would not store, and never will: as `BatchError`, but of no field."""


class Pushed(NamedTuple):
    """A push that the server has stored. sequence: its number. version: of the policy that the server has now."""

    sequence: int
    version: int


class Client:
    """One actor of a server. Calls are tried again while the server is away or busy, for `patience` seconds.

    A push that returned is stored, once, whatever was killed meanwhile. One that raised ServerError may be stored or
    not; the next push sends it again first, so it is neither lost nor stored twice while this client lives. `sequence`
    is the number of the last push of this actor that is known to be stored; a new process of the same actor starts
    with that of the old one, and shuts it out.
    """

    def __init__(
        self,
        address: str,
        actor: str,
        *,
        token_file: str | Path | None = None,
        tls_ca: str | Path | None = None,
        patience: float = 300.0,
    ):
        """Joins.

        Args:
          address: `host:port`.
          actor: its name, 1 to 64 of A-Z a-z 0-9 . _ -, its own among all actors of the server.
          token_file: a file with the server's token; beyond this machine it wants tls_ca.
          tls_ca: a PEM file with the server's certificate, or that of its authority; without it the channel is plain.
          patience: seconds that a call goes on trying while the server is away; after ten of them it warns, once.
        Raises: ServerError: no server, or one that refuses. ConfigError: a file that cannot be read, or a token that
          others could read on its way.
        """
        if token_file is not None and tls_ca is None and not wire.is_loopback(address):
            raise ConfigError(f"a token for {address} would travel in the clear: give tls_ca, the server's certificate")
        self.address, self.actor, self.patience = address, actor, patience
        self._session = secrets.randbits(63) + 1
        token = None if token_file is None else wire.read_file(token_file).decode(errors="replace").strip()
        self._metadata = () if token is None else ((wire.TOKEN_KEY, wire.bearer(token)),)
        self._channel = _channel(address, tls_ca)
        self._stopped = threading.Event()
        self._policy: NumpyPolicy | None = None
        self._life = 0
        self._unanswered: protocol.PushRequest | None = None
        try:
            reply = self._call("Join", protocol.JoinRequest(actor=actor, session=self._session), protocol.JoinReply)
        except BaseException:
            self.close()
            raise
        self.sequence, self._max_bytes = reply.sequence, reply.max_bytes

    def push(self, transitions: Mapping[str, Any], *, demonstrations: bool = False, names: str = "softrl") -> Pushed:
        """Stores B transitions on the server; returns when they are.

        Args: as `softrl.Learner.add`.
        Raises:
          BatchError: with `field`, `expected`, `got` and `rows`; nothing was stored, and the next push may be good.
          ServerError: the server stayed away too long, refused, or has another process under this actor's name.
        """
        request = protocol.PushRequest(
            actor=self.actor,
            session=self._session,
            sequence=self.sequence + 1,
            transitions=wire.encode_transitions(transitions),
            demonstrations=demonstrations,
            names=names,
        )
        if request.ByteSize() > self._max_bytes:
            raise ServerError(
                f"a push of {request.ByteSize():,} bytes is longer than the server reads "
                f"({self._max_bytes:,}): push fewer rows"
            )
        if self._unanswered not in (None, request):
            with contextlib.suppress(BatchError, _RefusedError):  # never stored then
                self._send(self._unanswered)
            request.sequence = self.sequence + 1
        return self._send(request)

    def _send(self, request: protocol.PushRequest) -> Pushed:
        self._unanswered = request
        try:
            reply = self._call("Push", request, protocol.PushReply)
        except (BatchError, _RefusedError):
            self._unanswered = None
            raise
        self._unanswered, self.sequence = None, request.sequence
        return Pushed(self.sequence, reply.version)

    def pull(self) -> NumpyPolicy:
        """The server's present policy; the one from the last call where it is still the same.

        Raises: ServerError as `push`.
        """
        have = self._policy
        known = {} if have is None else {"version": have.version, "has_policy": True, "life": self._life}
        request = protocol.PullRequest(**known)
        reply = self._call("Pull", request, protocol.PullReply)
        if reply.policy:
            self._policy, self._life = NumpyPolicy.load(reply.policy), reply.life
        return self._policy

    def close(self) -> None:
        """Ends a call that waits in another thread, and the connection."""
        self._stopped.set()
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, name: str, request: Any, reply: Any) -> Any:
        send = self._channel.unary_unary(protocol.METHODS[name], lambda m: m.SerializeToString(), reply.FromString)
        left, wait, warned = self.patience, _FIRST_WAIT_S, False
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                return send(request, timeout=_CALL_S, metadata=self._metadata)
            except grpc.RpcError as error:
                if error.code() not in _AGAIN or left <= 0.0:
                    raise _explained(error) from None
                warned = warned or self._warned(error, left)
            except ValueError:  # of a channel that was closed
                if not self._stopped.is_set():
                    raise
            self._stopped.wait(wait)
            wait = min(2.0 * wait, _LONGEST_WAIT_S)
            # Of an attempt in which this process was itself halted only so much counts: it has not been trying.
            left -= min(time.monotonic() - started, _CALL_S)
        raise ServerError(f"{name}: this client is closed")

    def _warned(self, error: grpc.RpcError, left: float) -> bool:
        """Whether it is time, and has been said, that nobody answers."""
        late = self.patience - left > _SILENT_S
        if late:
            about = f"{self.address} does not answer ({error.code().name.lower()}: {error.details()})"
            warnings.warn(f"{about}; trying for {left:.0f} s more, see `patience`", stacklevel=4)
        return late


def _explained(error: grpc.RpcError) -> Exception:
    details = dict(error.trailing_metadata() or ())
    if wire.ERROR_KEY in details:
        return wire.decode_error(details[wire.ERROR_KEY])
    if wire.SEQUENCE_KEY in details:
        return ServerError(
            f"the server has stored {details[wire.SEQUENCE_KEY]} pushes of this actor ({error.details()}): it has lost "
            "some, or is another one"
        )
    kind = _RefusedError if error.code() is grpc.StatusCode.INVALID_ARGUMENT else ServerError
    return kind(f"{error.code().name.lower()}: {error.details()}")


def _channel(address: str, tls_ca: str | Path | None) -> grpc.Channel:
    if tls_ca is None:
        return grpc.insecure_channel(address, options=_CHANNEL)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(wire.read_file(tls_ca)), options=_CHANNEL)
