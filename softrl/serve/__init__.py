"""The learner for actors in other processes and on other machines, over gRPC.

`softrl.serve.client` needs NumPy, grpcio, protobuf and safetensors only; `softrl.serve.server` needs everything.
"""
