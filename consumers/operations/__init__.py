"""What operators and case workers ask for: approvals, emergency orders, status, reports, a reset of offsets.

May import every folder of :mod:`consumers` except ``compact``.
"""
