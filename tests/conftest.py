"""What all tests have in common: how Hypothesis tries things."""

from hypothesis import HealthCheck, settings

# How long an example takes says nothing where other programs run too; and the first text of a
# fresh clone waits for a table of all characters to be made, which takes a second or two.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
