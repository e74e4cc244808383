"""The calls of protocol.proto: bytes in, a reply or a status out."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from softrl.errors import BatchError, CheckpointError, ConfigError, TensorError
from softrl.numpy_policy import encode
from softrl.serve import protocol, shared_learner, wire
from softrl.serve.prometheus import Metrics
from softrl.serve.shared_learner import SharedLearner

_UNFIT = (BatchError, TensorError, ConfigError, DecodeError)
_STATUS: dict[type[Exception], tuple[grpc.StatusCode, str]] = {
    **dict.fromkeys(_UNFIT, (grpc.StatusCode.INVALID_ARGUMENT, "refused")),
    shared_learner.Gap: (grpc.StatusCode.FAILED_PRECONDITION, "gap"),
    shared_learner.Fenced: (grpc.StatusCode.PERMISSION_DENIED, "fenced"),
    shared_learner.Busy: (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy"),
    CheckpointError: (grpc.StatusCode.UNAVAILABLE, "disk"),
}
"""What each error is to gRPC, and to the metrics."""


@dataclass
class Service:
    """Where calls arrive. published: the version and bytes of the last policy file that was asked for. life: a number
    that no other process of a server has."""

    shared: SharedLearner
    metrics: Metrics
    max_bytes: int
    published: tuple[int, bytes] = field(default=(-1, b""))
    life: int = field(default_factory=lambda: secrets.randbits(63) + 1)


def handlers(service: Service) -> grpc.GenericRpcHandler:
    """The service for `grpc.Server.add_generic_rpc_handlers`; requests arrive as bytes and are parsed in here."""
    calls = {"Join": _join, "Push": _push, "Pull": _pull}
    named = {name: grpc.unary_unary_rpc_method_handler(partial(_answer, service, call)) for name, call in calls.items()}
    return grpc.method_handlers_generic_handler(protocol.METHODS["Join"].split("/")[1], named)


def _answer(
    service: Service, call: Callable[[Service, bytes], Any], data: bytes, context: grpc.ServicerContext
) -> bytes:
    try:
        return call(service, data).SerializeToString()
    except tuple(_STATUS) as error:
        code, outcome = next(about for kind, about in _STATUS.items() if isinstance(error, kind))
        service.metrics.count(outcome)
        details: list[tuple[str, str | bytes]] = []
        if isinstance(error, BatchError):
            details.append((wire.ERROR_KEY, wire.encode_error(error)))
        if isinstance(error, shared_learner.Gap):
            details.append((wire.SEQUENCE_KEY, str(error.last)))
        context.set_trailing_metadata(details)
        context.abort(code, str(error)[:1000])
        raise  # abort has raised already; this says so to the type checker


def _join(service: Service, data: bytes):
    request = protocol.JoinRequest.FromString(data)
    sequence = shared_learner.join(service.shared, request.actor, request.session)
    return protocol.JoinReply(sequence=sequence, max_bytes=service.max_bytes)


def _push(service: Service, data: bytes):
    request = protocol.PushRequest.FromString(data)
    with service.metrics.push_seconds.time():
        rows = shared_learner.push(service.shared, request, data)
    service.metrics.count("stored" if rows else "repeated")
    service.metrics.rows.inc(rows)
    return protocol.PushReply(rows=rows, repeated=not rows, version=service.shared.version)


def _pull(service: Service, data: bytes):
    request = protocol.PullRequest.FromString(data)
    version = service.shared.version
    if request.has_policy and (request.version, request.life) == (version, service.life):
        return protocol.PullReply(version=version, life=service.life)
    if service.published[0] != version:
        policy = service.shared.learner.actor()  # waits for the end of the learner's present call
        service.published = (policy.version, encode(policy))
    service.metrics.pulls.inc()
    sent, policy_file = service.published
    return protocol.PullReply(version=sent, policy=policy_file, life=service.life)
