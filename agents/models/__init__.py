"""Language models: asked for text, and for the likelihood of a text."""
