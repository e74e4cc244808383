"""protocol.py and protocol.proto say the same."""

from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from softrl.serve import protocol

ROOT = Path(__file__).resolve().parents[2]


def test_the_messages_are_those_of_the_proto_file(tmp_path):
    out = tmp_path / "set"
    proto = "softrl/serve/protocol.proto"
    include = Path(grpc_tools.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{ROOT}", f"-I{include}", f"--descriptor_set_out={out}", proto]) == 0
    (ours,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    (service,) = ours.service
    names = {method.name: f"/{ours.package}.{service.name}/{method.name}" for method in service.method}
    assert names == protocol.METHODS
    del ours.service[:]
    for field in (field for message in ours.message_type for field in message.field):
        field.ClearField("json_name")
    assert ours == protocol.file_descriptor()
