"""How to start and to talk to systems under test, one file each."""
