"""What tests of services need: a manual clock and an app."""
