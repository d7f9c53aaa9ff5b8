"""From messages to tokens, and which tokens a grammar allows."""
