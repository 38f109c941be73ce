"""Simulator, faults, workloads, campaigns and planted bugs. See fault_injection/README.md."""
