"""What the service promises: pure functions and values. See model/README.md."""
