"""How the built-in API can be asked to misbehave: the public catalogue of faults, for tests of your own jobs."""
