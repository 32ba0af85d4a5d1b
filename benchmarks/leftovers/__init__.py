"""What is left of runs that were ended at random moments."""
