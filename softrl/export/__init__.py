"""A run's policy as a file for others: ONNX, StableHLO or safetensors, with normaliser and action scaling inside."""

from softrl.export.write import FORMATS, Exported, export, member_policy, require_format

__all__ = ["FORMATS", "Exported", "export", "member_policy", "require_format"]
