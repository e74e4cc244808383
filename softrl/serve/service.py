"""The calls of protocol.proto: bytes in, the intake's answer or a status out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from softrl.errors import BatchError, CheckpointError, ConfigError, TensorError
from softrl.numpy_policy import encode
from softrl.serve import intake, messages, wire
from softrl.serve.intake import Intake
from softrl.serve.metrics import Metrics

_STATUS: dict[type[Exception], tuple[grpc.StatusCode, str]] = {
    BatchError: (grpc.StatusCode.INVALID_ARGUMENT, "refused"),
    TensorError: (grpc.StatusCode.INVALID_ARGUMENT, "refused"),
    ConfigError: (grpc.StatusCode.INVALID_ARGUMENT, "refused"),
    DecodeError: (grpc.StatusCode.INVALID_ARGUMENT, "refused"),
    intake.Gap: (grpc.StatusCode.FAILED_PRECONDITION, "gap"),
    intake.Fenced: (grpc.StatusCode.PERMISSION_DENIED, "fenced"),
    intake.Busy: (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy"),
    CheckpointError: (grpc.StatusCode.UNAVAILABLE, "disk"),
}
"""What each error is to gRPC, and to the metrics."""


@dataclass
class Desk:
    """Where calls arrive. published: the version and bytes of the last policy file that was asked for."""

    intake: Intake
    metrics: Metrics
    max_bytes: int
    published: tuple[int, bytes] = field(default=(-1, b""))


def handlers(desk: Desk) -> grpc.GenericRpcHandler:
    """The service for `grpc.Server.add_generic_rpc_handlers`; requests arrive as bytes and are parsed in here."""
    calls = {"Join": _join, "Push": _push, "Pull": _pull}
    named = {name: grpc.unary_unary_rpc_method_handler(partial(_answer, desk, call)) for name, call in calls.items()}
    return grpc.method_handlers_generic_handler(messages.METHODS["Join"].split("/")[1], named)


def _answer(desk: Desk, call: Callable[[Desk, bytes], Any], data: bytes, context: grpc.ServicerContext) -> bytes:
    try:
        return call(desk, data).SerializeToString()
    except tuple(_STATUS) as error:
        code, outcome = next(about for kind, about in _STATUS.items() if isinstance(error, kind))
        desk.metrics.count(outcome)
        details: list[tuple[str, str | bytes]] = []
        if isinstance(error, BatchError):
            details.append((wire.ERROR_KEY, wire.encode_error(error)))
        if isinstance(error, intake.Gap):
            details.append((wire.SEQUENCE_KEY, str(error.last)))
        context.set_trailing_metadata(details)
        context.abort(code, str(error)[:1000])
        raise  # abort has raised already; this tells the type checker


def _join(desk: Desk, data: bytes):
    request = messages.JoinRequest.FromString(data)
    sequence = intake.join(desk.intake, request.actor, request.session)
    return messages.JoinReply(sequence=sequence, max_bytes=desk.max_bytes)


def _push(desk: Desk, data: bytes):
    request = messages.PushRequest.FromString(data)
    with desk.metrics.push_seconds.time():
        stored = intake.push(desk.intake, request, data)
    desk.metrics.count("repeated" if stored.repeated else "stored")
    desk.metrics.rows.inc(stored.rows)
    return messages.PushReply(rows=stored.rows, repeated=stored.repeated, version=desk.intake.version)


def _pull(desk: Desk, data: bytes):
    request = messages.PullRequest.FromString(data)
    version = desk.intake.version
    if request.has_policy and request.version == version:
        return messages.PullReply(version=version)
    if desk.published[0] != version:
        policy = desk.intake.learner.actor()  # waits for the end of the learner's present call
        desk.published = (policy.version, encode(policy))
    desk.metrics.pulls.inc()
    sent, policy_file = desk.published
    return messages.PullReply(version=sent, policy=policy_file)
