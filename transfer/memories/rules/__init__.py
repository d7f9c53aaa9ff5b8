"""Memories of short texts that a model writes: plans, insights, items, sheets and playbooks."""
