"""What people do with what came in: contacts, conversations, their messages and files.

One function per route and command, each a transaction of the caller's tenant; all may be repeated.
Modules are imported one by one, since a cold start pays for each.
"""
