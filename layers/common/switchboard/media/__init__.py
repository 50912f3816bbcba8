"""Files of messages: fetched from Meta and kept in S3, shown by a signed address, uploaded once.

The objects of a file are `<tenant id>/media/<media id>/file` and `…/thumbnail`: a run that was cut
short and comes again writes the same ones.
"""

from switchboard.media.address import ADDRESS_S, media_address
from switchboard.media.fetch import Later, Lost, Stored, fetch
from switchboard.media.upload import NotUploaded, Uploaded, upload, upload_once

__all__ = [
    "ADDRESS_S",
    "Later",
    "Lost",
    "NotUploaded",
    "Stored",
    "Uploaded",
    "fetch",
    "media_address",
    "upload",
    "upload_once",
]
