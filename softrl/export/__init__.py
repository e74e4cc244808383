"""A policy as a file for others: ONNX, StableHLO or safetensors, with normaliser and action scaling inside."""

from softrl.export.write import FORMATS, Exported, Live, export, member_policy, require_format, write

__all__ = ["FORMATS", "Exported", "Live", "export", "member_policy", "require_format", "write"]
