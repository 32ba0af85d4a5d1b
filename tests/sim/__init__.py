"""The simulation: what a seed decides, it decides everywhere."""
