"""The demo: a synthetic school owner, the three real processes on this machine, and a student who leaves."""
