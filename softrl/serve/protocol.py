"""The messages of protocol.proto, made at run time: no generated code, which would want its own version of protobuf."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE, _FILE = "softrl.serve", "softrl/serve/protocol.proto"

_FIELDS = {
    "JoinRequest": (("actor", "string"), ("session", "uint64")),
    "JoinReply": (("sequence", "uint64"), ("max_bytes", "uint64")),
    "PushRequest": (
        ("actor", "string"),
        ("session", "uint64"),
        ("sequence", "uint64"),
        ("transitions", "bytes"),
        ("demonstrations", "bool"),
        ("names", "string"),
    ),
    "PushReply": (("rows", "uint64"), ("repeated", "bool"), ("version", "uint64")),
    "PullRequest": (("version", "uint64"), ("has_policy", "bool"), ("life", "uint64")),
    "PullReply": (("version", "uint64"), ("policy", "bytes"), ("life", "uint64")),
}
"""Every message's fields in the order of their numbers, from 1."""

METHODS = {name: f"/{_PACKAGE}.Learner/{name}" for name in ("Join", "Push", "Pull")}
"""The service's calls and their full names."""


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """The description of protocol.proto's messages, as protoc would give it but for names in JSON."""
    about = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    for message, fields in _FIELDS.items():
        added = file.message_type.add(name=message)
        for number, (name, kind) in enumerate(fields, start=1):
            kind_number = about.Type.Value(f"TYPE_{kind.upper()}")
            added.field.add(name=name, number=number, type=kind_number, label=about.LABEL_OPTIONAL)
    return file


_POOL = descriptor_pool.DescriptorPool()  # our own: in the common one another library may have a file of this name
_POOL.AddSerializedFile(file_descriptor().SerializeToString())
JoinRequest, JoinReply, PushRequest, PushReply, PullRequest, PullReply = (
    message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS
)
