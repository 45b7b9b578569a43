"""Files on their way in, whole or in pieces."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_TUS = "tus resumable upload protocol 1.0.0"


def _upload(code: str, title: str, cause: str, remedy: str, source: str = "") -> Problem:
    return Problem(f"UPLOAD-{code}", Owner.SELLER, title, cause, remedy, NextAction.FIX_INPUT, source)


PROBLEMS: tuple[Problem, ...] = (
    _upload("TOO-LARGE", "The file is too large", "{filename} has {size} bytes; the limit is {limit}.",
            "Leave out what the image does not need, or ask the operator to raise SLIPWAY_UPLOAD_MAX_BYTES."),
    _upload("EMPTY", "The file is empty", "{filename} has no content.", "Choose the right file."),
    _upload("MISSING", "No file was sent", "The request held no file.", "Choose a file."),
    _upload("UNKNOWN", "That upload cannot be used here",
            "The file {filename} was not uploaded for this team and purpose.", "Upload it again on this page."),
    _upload("CHECKSUM", "What arrived is not what was sent",
            "{filename} was announced with the SHA-256 {declared}, but what arrived has {found}. It was not kept.",
            "Make sure that nothing writes to the file, and choose it again."),
    _upload("INCOMPLETE", "The file has not arrived", "{offset} of {size} bytes of {filename} are here.",
            "Send the rest; then it can be used."),
    _upload("GONE", "The upload is no longer there",
            "{filename} was cancelled, or nothing was added to it for {hours} hours.", "Choose the file again."),
    _upload("TOO-MANY", "Too much is under way", "{team} has {open} bytes of uploads that have not ended; "
            "at most {limit} at once are allowed.",
            "Finish or cancel some of them. Those to which nothing is added for an hour make room by themselves."),
    _upload("OFFSET", "The piece does not fit", "It begins at byte {offset}, but {arrived} bytes have arrived.",
            "Ask how much has arrived, and go on from there.", _TUS),
    _upload("BEYOND", "The piece is longer than the file",
            "With its {length} bytes, more than the announced {size} would have arrived.",
            "Send only what the file holds.", _TUS),
    _upload("BUSY", "Another piece is being written", "The same upload is being sent twice, from two windows perhaps.",
            "Wait a moment, or close one of them.", _TUS),
    _upload("PIECE", "A piece was damaged on its way", "Its SHA-256 is not the one it was sent with; it was not kept.",
            "Send the piece again. If it keeps happening, something between here and there changes what passes.", _TUS),
    _upload("PIECE-SIZE", "The piece is too long", "One request may carry {limit} bytes.", "Send smaller pieces.",
            _TUS),
    _upload("PROTOCOL", "The request was not understood", "{detail}.", "Use a client of the protocol tus 1.0.", _TUS),
    Problem("UPLOAD-NO-SPACE", Owner.PLATFORM, "There is no room for the file",
            "Slipway's storage has no room left for {filename}.",
            "The operator makes room; what has arrived is kept, and the upload can then be resumed.",
            NextAction.CALL_OPERATOR),
)  # fmt: skip
