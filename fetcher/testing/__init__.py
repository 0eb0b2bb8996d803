"""Test your own job offline: a built-in API on loopback (`server`) and an event loop that never sleeps (`clock`)."""
