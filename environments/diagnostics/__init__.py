"""Games whose truth is known: what an optimal, a careless and a lucky player earn is in closed form."""
