"""Test support for services: an application in memory and a clock that tests move."""
