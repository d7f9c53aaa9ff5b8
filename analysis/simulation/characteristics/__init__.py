"""How often intervals cover, and how often tests and verdicts err, world by world."""
