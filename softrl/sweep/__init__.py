"""Sweeps: a spec becomes groups of members, each group one compiled program; a ledger becomes a table."""
