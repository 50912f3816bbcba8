"""Interactive messages, one file per kind: the folder is the list.

To add a kind: a file named after Meta's `interactive.type` with a model of the whole message as
`MODEL`, then its payload file and line as for any message (see the package above). A kind without
a file passes unchecked, with a warning.
"""
