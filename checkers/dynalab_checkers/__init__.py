"""Judges of histories, from any database. See checkers/README.md."""
