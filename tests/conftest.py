"""What every test shares: how Hypothesis behaves here."""

from hypothesis import settings

# A busy machine is slow, not wrong: no test may fail for the seconds it took.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")
