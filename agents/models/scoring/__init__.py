"""Likelihoods of texts with weights in this process."""
