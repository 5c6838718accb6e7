"""A customer complains about a delivered meal; the desk can explain, or give a voucher."""
