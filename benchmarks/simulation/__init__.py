"""How much virtual time the simulation gets through, and where the real time goes."""
