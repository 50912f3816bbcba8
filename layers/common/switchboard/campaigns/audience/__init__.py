"""Whom a campaign reaches: filters of contacts, the four kinds of audience, lists of people.

`kinds.select_people(audience)` makes of an audience the query whose rows are its people.
"""
