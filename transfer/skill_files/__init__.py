"""Skills as SKILL.md files (agentskills.io): out, and in."""
