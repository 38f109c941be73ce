"""What people touch: command line, drivers, HTTP endpoint, pytest plugin, grader."""

__version__ = "0.1.0"
