"""Lists as files that spreadsheets open: written from the list, and read back into it."""
