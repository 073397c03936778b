"""Options of the protocols, one file a family; they are read without importing any protocol."""
