"""Memories of whole episodes: retrieved, or as many as fit."""
