"""What have we done? Cursor, dirty set, records, parked studies and history: all that must survive a crash.

`ledger.Ledger` is the room's only door, and callers speak to its parts. Inside, every writing function takes a
`db.writer.Transaction` and every reading one a connection, so that what belongs together is committed together.
"""
