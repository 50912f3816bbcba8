"""Facts: trips and bookings, which internal services write under their own external ids.

What is written is a whole fact as of a time: an older one changes nothing, so that services may
send again and in any order. Modules are imported one by one, since a cold start pays for each.
"""
