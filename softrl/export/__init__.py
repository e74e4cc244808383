"""A policy as a file for others: ONNX, StableHLO or safetensors, with normaliser and action scaling inside."""

from softrl.export.write import FORMATS, Exported, Live, chosen_format, export, member_policy, write

__all__ = ["FORMATS", "Exported", "Live", "chosen_format", "export", "member_policy", "write"]
