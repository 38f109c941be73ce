"""The replicated service, without I/O: handlers that are fed events and ask for effects. See impl/README.md."""
