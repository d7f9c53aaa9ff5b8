"""The PPO gate: is a candidate better than its parent, judged by likelihoods of old trajectories?"""
