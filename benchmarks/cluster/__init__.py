"""How long a cluster takes to come, to be cut, and to go."""
