"""Runs that measure one thing instead of looking for a violation: the figures of the course come from here.

Each experiment is a function of its parameters and a seed, in virtual time, and gives plain numbers. `python -m
dynalab_fault_injection.experiments.NAME` prints them as a table.
"""
