"""Storage without I/O: how records lie in a write-ahead log, how a log is read back, and the ordered index over
items.
"""
