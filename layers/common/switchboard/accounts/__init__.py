"""What a tenant does with its accounts at Meta: numbers, templates, flows, blocks, calls.

One function per route and command. What Meta answers is told as it is: refused, busy, or nobody
knows. No transaction is open while Meta is asked. Modules are imported one by one, since a cold
start pays for each.
"""
