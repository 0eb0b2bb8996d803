"""Records out of a job: as pandas frames, and as files that other programs read."""
