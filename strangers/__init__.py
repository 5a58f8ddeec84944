"""Adapters of systems that other people wrote; none changes the machine or its oracle."""
