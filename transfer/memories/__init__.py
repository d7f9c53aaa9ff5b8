"""Memories: everything that is compared with NP-PPO's pool, each as its authors built it."""
