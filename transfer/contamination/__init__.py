"""Planted wrong skills, and how to find them."""
