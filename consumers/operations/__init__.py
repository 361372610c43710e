"""What a person asks for, by a command today: approvals, emergencies, status, reports, a reset of offsets.

May import every room of :mod:`consumers` but ``compact``.
"""
