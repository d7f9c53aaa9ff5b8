"""Environments of numbers, read and answered in words: any PettingZoo or Gymnasium one."""
