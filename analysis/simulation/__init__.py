"""Before the data: simulated studies, calibration of the error bars, power."""
