"""SkillOpt: one document, trained by edits that must pass a gate of games."""
