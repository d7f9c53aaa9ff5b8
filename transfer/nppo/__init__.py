"""Non-Parametric PPO, Algorithm 1 of the paper."""
