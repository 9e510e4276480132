"""The database itself: engines, the one writer, transactions and tables; it knows no study."""
